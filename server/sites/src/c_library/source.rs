//! Whose source is named in a program: the errors of OpenSSL and of BoringSSL tell the file that puts them.
//!
//! Owns: to find the path of the file that `SSL_read` is in. No path is among this crate's own constants, or each program
//! that has this crate in itself would seem to have OpenSSL.

use std::io::{Read, Seek};

use crate::Error;
use crate::image::Image;

/// The largest section of constants that is gone through.
const LARGEST: u64 = 1 << 27;
/// What the file's name is in all of them, but for its ending.
const STEM: &[u8] = b"ssl_lib";
/// The longest of its endings, with the zero behind it.
const LONGEST_ENDING: usize = 4;
/// The longest folder that it is in.
const LONGEST_FOLDER: usize = 200;
/// The most paths that are told.
const MOST: usize = 64;

/// Whose file it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Maker {
    OpenSsl,
    BoringSsl,
    /// Of what was made of BoringSSL, such as AWS-LC.
    Relative,
}

/// A path of that file.
pub(super) struct Source {
    pub(super) maker: Maker,
    /// Whether the folder is that in which Chromium has it.
    pub(super) is_in_chromium: bool,
    /// Where the path is loaded, if nothing is before it that could belong to it.
    pub(super) address: Option<u64>,
}

/// The paths among the constants.
pub(super) fn find<R: Read + Seek>(image: &mut Image<R>) -> Result<Vec<Source>, Error> {
    let mut found = Vec::new();
    let Some((offset, size, address)) = image
        .section(".rodata")
        .map(|section| (section.offset, section.size.min(LARGEST), section.address))
    else {
        return Ok(found);
    };
    // With the byte before the folder.
    let before = LONGEST_FOLDER + 1;
    let overlap = before + STEM.len() + LONGEST_ENDING;
    image.pieces(offset, size, overlap, |place, bytes| {
        for stem in memchr::memmem::find_iter(bytes, STEM) {
            // The piece before had all of this.
            if place > 0 && stem < before {
                continue;
            }
            let behind = bytes.get(stem + STEM.len()..).unwrap_or_default();
            let is_c = match behind {
                [b'.', b'c', 0, ..] => true,
                [b'.', b'c', b'c', 0, ..] => false,
                _ => continue,
            };
            let start = (stem.saturating_sub(before)..stem)
                .rev()
                .take_while(|at| bytes.get(*at).is_some_and(|byte| is_of_path(*byte)))
                .last()
                .unwrap_or(stem);
            let folder = bytes.get(start..stem).unwrap_or_default();
            if folder.len() > LONGEST_FOLDER || folder.last().is_some_and(|last| *last != b'/') {
                continue;
            }
            let is_boring = memchr::memmem::find(folder, b"boringssl").is_some();
            let is_alone = start
                .checked_sub(1)
                .is_none_or(|before| bytes.get(before) == Some(&0));
            found.push(Source {
                maker: match (is_c, is_boring) {
                    (true, _) => Maker::OpenSsl,
                    (false, true) => Maker::BoringSsl,
                    (false, false) => Maker::Relative,
                },
                is_in_chromium: !is_c && folder.ends_with(b"boringssl/src/ssl/"),
                address: u64::try_from(start)
                    .ok()
                    .filter(|_| is_alone)
                    .and_then(|start| address.checked_add(place)?.checked_add(start)),
            });
        }
        found.len() < MOST
    })?;
    found.truncate(MOST);
    Ok(found)
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'+' | b'@' | b'~')
}
