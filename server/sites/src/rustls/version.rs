//! The version of rustls, from the paths of its source that its panics tell, which are there in a stripped program too.

use std::io::{Read, Seek};

use crate::Error;
use crate::image::Image;

/// The largest section of constants that is gone through.
const LARGEST: u64 = 1 << 27;
const MARK: &[u8] = b"/rustls-";
/// The longest version.
const LONGEST: usize = 24;

pub(super) fn of<R: Read + Seek>(image: &mut Image<R>) -> Result<Option<String>, Error> {
    let mut version = None;
    if let Some(constants) = image.section(".rodata") {
        let (offset, size) = (constants.offset, constants.size.min(LARGEST));
        image.pieces(offset, size, MARK.len() + LONGEST + 5, |_, bytes| {
            version = memchr::memmem::find_iter(bytes, MARK)
                .filter_map(|place| bytes.get(place + MARK.len()..))
                .find_map(text);
            version.is_none()
        })?;
    }
    Ok(version)
}

/// `0.23.46` of `0.23.46/src/`.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes
        .iter()
        .take(LONGEST)
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'a'..=b'z' | b'-' | b'+'))?;
    let version = bytes.get(..end)?;
    (version.first()?.is_ascii_digit()
        && version.contains(&b'.')
        && bytes.get(end..)?.starts_with(b"/src/"))
    .then(|| String::from_utf8_lossy(version).into_owned())
}
