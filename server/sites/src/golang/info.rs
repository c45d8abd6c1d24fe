//! Whether a program is Go's, and by which minor version.

use std::io::{Read, Seek};

use crate::Error;
use crate::image::Image;
use crate::notes;

/// What the build information begins with (`debug/buildinfo`).
const MARK: &[u8] = b"\xff Go buildinf:";
/// Where the version is when it is in place.
const IN_PLACE: usize = 32;
const LONGEST_VERSION: usize = 64;

pub(super) fn is_go<R: Read + Seek>(image: &mut Image<R>) -> Result<bool, Error> {
    if image.section(".note.go.buildid").is_some() || header(image)?.is_some() {
        return Ok(true);
    }
    notes::is_go(image)
}

/// The build information's first bytes.
fn header<R: Read + Seek>(image: &mut Image<R>) -> Result<Option<Vec<u8>>, Error> {
    let Some((offset, size)) = image
        .section(".go.buildinfo")
        .map(|section| (section.offset, section.size))
    else {
        return Ok(None);
    };
    let length = usize::try_from(size)
        .unwrap_or(0)
        .min(IN_PLACE + 1 + LONGEST_VERSION);
    let bytes = image.at(offset, length)?;
    Ok(bytes.filter(|bytes| bytes.starts_with(MARK)))
}

/// The 19 of the version `go1.19.8`, where the program tells a version of this form.
pub(super) fn minor<R: Read + Seek>(image: &mut Image<R>) -> Result<Option<u32>, Error> {
    let Some(header) = header(image)? else {
        return Ok(None);
    };
    let flags = header.get(15).copied().unwrap_or(0);
    let text = if flags & 2 != 0 {
        // Since 1.18: its length, which is below 128 and so one byte, and the text.
        header.get(IN_PLACE).and_then(|length| {
            header
                .get(IN_PLACE + 1..)?
                .get(..usize::from(*length))
                .map(<[u8]>::to_vec)
        })
    } else {
        // Before: the address of a string, which is an address and a length.
        let Some(place) = header.get(16..24).and_then(number) else {
            return Ok(None);
        };
        let Some(string) = image.loaded(place, 16)? else {
            return Ok(None);
        };
        let place = string.get(..8).and_then(number);
        let length = string.get(8..16).and_then(number);
        match (
            place,
            length.and_then(|length| usize::try_from(length).ok()),
        ) {
            (Some(place), Some(length)) if length <= LONGEST_VERSION => {
                image.loaded(place, length)?
            }
            _ => None,
        }
    };
    Ok(text.and_then(|text| minor_of(&text)))
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

fn minor_of(version: &[u8]) -> Option<u32> {
    let rest = std::str::from_utf8(version).ok()?.strip_prefix("go1.")?;
    let end = rest
        .find(|figure: char| !figure.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}
