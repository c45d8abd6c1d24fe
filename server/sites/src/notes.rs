//! The notes in a file: its build id.

use std::fmt::Write as _;
use std::io::{Read, Seek};

use object::elf;

use crate::Error;
use crate::image::Image;

/// The longest note segment that is gone through.
const LONGEST: usize = 1 << 16;
/// The longest build id that is told; Go's is some 80 bytes, GNU's 20.
const LONGEST_ID: usize = 128;
/// The name and the type of the note of Go's linker.
const GO: &[u8] = b"Go\0\0";
const GO_BUILD_ID: u32 = 4;

/// The build id, GNU's before Go's, as hexadecimal digits.
pub(crate) fn build_id<R: Read + Seek>(image: &mut Image<R>) -> Result<Option<String>, Error> {
    let (mut gnu, mut go) = (None, None);
    each(image, |name, kind, value| match (name, kind) {
        (b"GNU\0", elf::NT_GNU_BUILD_ID) => gnu = gnu.take().or_else(|| Some(hexadecimal(value))),
        (GO, GO_BUILD_ID) => go = Some(hexadecimal(value)),
        _ => {}
    })?;
    Ok(gnu.or(go))
}

/// Whether Go's linker left its note.
pub(crate) fn is_go<R: Read + Seek>(image: &mut Image<R>) -> Result<bool, Error> {
    let mut found = false;
    each(image, |name, kind, _| {
        found |= name == GO && kind == GO_BUILD_ID;
    })?;
    Ok(found)
}

/// Calls `take` with the name, the type and the value of each note.
fn each<R: Read + Seek>(
    image: &mut Image<R>,
    mut take: impl FnMut(&[u8], u32, &[u8]),
) -> Result<(), Error> {
    let places: Vec<_> = image
        .segments
        .iter()
        .filter(|segment| segment.kind == elf::PT_NOTE)
        .map(|segment| (segment.offset, segment.size))
        .take(8)
        .collect();
    for (offset, size) in places {
        let length = usize::try_from(size).unwrap_or(LONGEST).min(LONGEST);
        let bytes = image.at(offset, length)?.unwrap_or_default();
        let mut rest = bytes.as_slice();
        while let Some((name, kind, value)) = next(&mut rest) {
            take(name, kind, value);
        }
    }
    Ok(())
}

fn hexadecimal(value: &[u8]) -> String {
    value
        .iter()
        .take(LONGEST_ID)
        .fold(String::new(), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Takes a note off `rest`: its name, type and value.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], u32, &'a [u8])> {
    let mut number = || {
        let (bytes, behind) = rest.split_first_chunk::<4>()?;
        *rest = behind;
        Some(u32::from_le_bytes(*bytes))
    };
    let (name, value, kind) = (number()?, number()?, number()?);
    let mut bytes = |length: u32| {
        let length = usize::try_from(length).ok()?;
        let taken = rest.get(..length)?;
        *rest = rest
            .get(length.checked_next_multiple_of(4)?..)
            .unwrap_or_default();
        Some(taken)
    };
    Some((bytes(name)?, kind, bytes(value)?))
}
