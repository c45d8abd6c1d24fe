//! Whose source is named in a program.

use std::io::{Read, Seek};

use crate::image::Image;
use crate::{Error, Library};

/// The largest section of constants that is gone through.
const LARGEST: u64 = 1 << 27;

/// The file that `SSL_read` is in, of OpenSSL and BoringSSL, behind its folder.
const SOURCE: &[u8] = b"ssl/ssl_lib.c";
/// How much before that is the path it is in.
const LONGEST_PATH: usize = 200;

/// Whose source is named among the constants.
pub(super) fn find<R: Read + Seek>(image: &mut Image<R>) -> Result<Option<Library>, Error> {
    let mut library = None;
    if let Some(constants) = image.section(".rodata") {
        let (offset, size) = (constants.offset, constants.size.min(LARGEST));
        image.pieces(offset, size, LONGEST_PATH, |_, bytes| {
            if let Some(place) = memchr::memmem::find(bytes, SOURCE) {
                let before = bytes.get(..place).unwrap_or_default();
                let start = memchr::memrchr(0, before).map_or(0, |end| end + 1);
                let path = before.get(start..).unwrap_or_default();
                library = Some(if memchr::memmem::find(path, b"boringssl").is_some() {
                    Library::BoringSsl
                } else {
                    Library::OpenSsl
                });
            }
            library.is_none()
        })?;
    }
    Ok(library)
}
