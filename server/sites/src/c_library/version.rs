//! The version of a library, where its file tells it.

use std::io::{Read, Seek};

use crate::image::Image;
use crate::{Error, Library};

/// The largest section of constants that is gone through.
const LARGEST: u64 = 1 << 28;
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
