//! ELF files of 32 bits or of other machines: no sites are known in them, and what they have is named all the same.

use std::io::{Read, Seek};

use crate::image::Image;
use crate::{Error, Library, Looked};

/// How much of a file is gone through.
const LARGEST: u64 = 1 << 28;
/// The name of a function in Go's own table.
const GO: &[u8] = b"\0crypto/tls.(*Conn).Read\0";

/// What is in `file`, by its name and by the one thing that is told by no other file.
pub(crate) fn look(file: impl Read + Seek, name: &str, looked: &mut Looked) -> Result<(), Error> {
    let mut image = Image::bare(file)?;
    let mut library = [
        ("libssl.so", Library::OpenSsl),
        ("libgnutls.so", Library::GnuTls),
    ]
    .into_iter()
    .find(|(start, _)| name.starts_with(start))
    .map(|(_, library)| library);
    if library.is_none() {
        image.pieces(0, LARGEST, GO.len(), |_, bytes| {
            if memchr::memmem::find(bytes, GO).is_some() {
                library = Some(Library::Go);
            }
            library.is_none()
        })?;
    }
    if let Some(library) = library {
        let why = "only code with 64 bits for x86_64 and aarch64 is known";
        looked.unsupported(library.name(), why);
    }
    Ok(())
}
