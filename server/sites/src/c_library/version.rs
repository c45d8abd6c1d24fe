//! The version of a library, where its file tells it.

use std::io::{Read, Seek};

use crate::image::Image;
use crate::{Error, Library};

/// The largest section of constants that is gone through.
const LARGEST: u64 = 1 << 27;
/// The longest version, such as `1.1.1zb-fips`.
const LONGEST: usize = 24;
const MARK: &[u8] = b"OpenSSL ";

/// OpenSSL's is among its constants where the library is one with libcrypto, and in the file's name where it is not; the
/// others do not tell.
pub(super) fn of<R: Read + Seek>(
    image: &mut Image<R>,
    library: Library,
    name: &str,
) -> Result<Option<String>, Error> {
    if library != Library::OpenSsl {
        return Ok(None);
    }
    let mut version = None;
    if let Some(constants) = image.section(".rodata") {
        let (offset, size) = (constants.offset, constants.size.min(LARGEST));
        image.pieces(offset, size, MARK.len() + LONGEST, |_, bytes| {
            version = memchr::memmem::find_iter(bytes, MARK)
                .filter_map(|place| bytes.get(place + MARK.len()..))
                .find_map(text);
            version.is_none()
        })?;
    }
    Ok(version.or_else(|| {
        name.strip_prefix("libssl.so.")
            .filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
            .map(|rest| rest.chars().take(LONGEST).collect())
    }))
}

/// The file that `SSL_read` is in, of OpenSSL and BoringSSL, behind its folder.
const SOURCE: &[u8] = b"ssl/ssl_lib.c";
/// How much before that is the path it is in.
const LONGEST_PATH: usize = 200;

/// Whose source is named among the constants.
pub(super) fn source<R: Read + Seek>(image: &mut Image<R>) -> Result<Option<Library>, Error> {
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

/// The version that `bytes` begins with: figures and points, maybe letters, then a space.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().take(LONGEST).position(|byte| *byte == b' ')?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut parts = text.split('.');
    let figures = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    (figures(parts.next()) && figures(parts.next()) && parts.next().is_some())
        .then(|| text.to_owned())
}
