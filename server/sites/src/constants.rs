//! What a program's constants say of the libraries in it, which they do in a stripped program too.
//!
//! Owns: to go through the constants once for all that is looked for there, and only when somebody asks.

mod rustls;
mod source;

use std::io::{Read, Seek};

use memchr::memmem::Finder;

use crate::Error;
use crate::image::Image;

pub(crate) use source::{Maker, Source};

/// The largest section of constants that is gone through.
const LARGEST: u64 = 1 << 27;

/// What the constants say.
#[derive(Default)]
pub(crate) struct Told {
    /// Paths of the file that `SSL_read` is in.
    pub(crate) sources: Vec<Source>,
    /// The version of rustls.
    pub(crate) rustls: Option<String>,
}

/// The constants of one file.
#[derive(Default)]
pub(crate) struct Constants(Option<Told>);

impl Constants {
    /// What they say; read when first asked for.
    pub(crate) fn told<R: Read + Seek>(&mut self, image: &mut Image<R>) -> Result<&Told, Error> {
        let told = match self.0.take() {
            Some(told) => told,
            None => read(image)?,
        };
        Ok(self.0.insert(told))
    }
}

fn read<R: Read + Seek>(image: &mut Image<R>) -> Result<Told, Error> {
    let mut told = Told::default();
    let Some((offset, size, address)) = image
        .section(".rodata")
        .map(|section| (section.offset, section.size.min(LARGEST), section.address))
    else {
        return Ok(told);
    };
    let (source, rustls) = (Finder::new(source::STEM), Finder::new(rustls::MARK));
    let overlap = source::LONGEST.max(rustls::LONGEST);
    image.pieces(offset, size, overlap, |place, bytes| {
        for stem in source.find_iter(bytes) {
            // What is whole in the bytes that the piece before had too was found there. OpenSSL's may be found twice: its
            // ending is shorter.
            let is_known = place > 0 && stem + source::BEHIND <= overlap;
            if !is_known && told.sources.len() < source::MOST {
                told.sources
                    .extend(Source::at(bytes, stem, address.saturating_add(place)));
            }
        }
        if told.rustls.is_none() {
            told.rustls = rustls
                .find_iter(bytes)
                .find_map(|mark| rustls::version(bytes.get(mark..)?));
        }
        true
    })?;
    Ok(told)
}
