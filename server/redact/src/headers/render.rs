//! Reads a stored header block back. The bytes may be damaged or from a newer version: what can be read is given, and
//! reading ends at the first byte that makes no sense.

use super::encode::unknown;
use super::{HeaderField, HeaderValue, kind};
use crate::date;
use crate::hash::{Digest, Scheme};
use crate::printable;

/// The fields of a stored header block, in the order received. Damaged input gives the fields up to the damage.
pub fn render_headers(template: &[u8], holes: &[u8]) -> Vec<HeaderField> {
    let (mut template, mut holes) = (Reader(template), Reader(holes));
    std::iter::from_fn(|| field(&mut template, &mut holes)).collect()
}

/// The names of a stored block's fields, in the order received, which are in its template alone.
pub fn header_names(template: &[u8]) -> impl Iterator<Item = &str> {
    let mut template = Reader(template);
    std::iter::from_fn(move || {
        let name = template.name()?;
        for _ in 0..template.number()? {
            // Of length 0 is a hole.
            let length = template.number()?;
            template.readable(length)?;
        }
        std::str::from_utf8(name).ok()
    })
}

fn field(template: &mut Reader<'_>, holes: &mut Reader<'_>) -> Option<HeaderField> {
    let mut name = Vec::new();
    name.extend_from_slice(template.name()?);
    let (mut text, mut redacted) = (Vec::new(), false);
    for _ in 0..template.number()? {
        match template.number()? {
            0 => redacted |= hole(holes, &mut text)?,
            length => text.extend_from_slice(template.readable(length)?),
        }
    }
    Some(HeaderField {
        name: String::from_utf8(name).ok()?,
        value: HeaderValue {
            text: String::from_utf8(text).ok()?,
            redacted,
        },
    })
}

/// Appends one hole of the template; whether a digest was among it.
fn hole(holes: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<bool> {
    match holes.byte()? {
        kind::SEVERAL => {
            let mut redacted = false;
            for _ in 0..holes.number()? {
                let kind = holes.byte()?;
                redacted |= single(kind, holes, out)?;
            }
            Some(redacted)
        }
        kind => single(kind, holes, out),
    }
}

fn single(kind: u8, holes: &mut Reader<'_>, out: &mut Vec<u8>) -> Option<bool> {
    match kind {
        kind::TEXT => {
            let length = holes.number()?;
            out.extend_from_slice(holes.readable(length)?);
        }
        kind::NUMBER => out.extend_from_slice(holes.number()?.to_string().as_bytes()),
        kind::DATE => out.extend_from_slice(date::written(holes.number()?).as_bytes()),
        kind::UNKNOWN => {
            let generation = u32::try_from(holes.number()?).ok()?;
            let zigzag = holes.number()?;
            let number = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
            unknown(generation, number, out);
        }
        _ => {
            let scheme = Scheme::from_index(kind.checked_sub(kind::DIGEST)?)?;
            let hash = *holes.bytes(8)?.as_array()?;
            Digest {
                scheme,
                hash,
                length: holes.number()?,
            }
            .write(out);
            return Some(true);
        }
    }
    Some(false)
}

/// What is left to read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }
    pub(super) fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
    /// Text that was written as readable.
    fn readable(&mut self, length: u64) -> Option<&'a [u8]> {
        self.bytes(length)
            .filter(|text| text.iter().all(|byte| printable::is_readable(*byte)))
    }
    /// A field name: readable, or hashes with their braces.
    fn name(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let is_name = |byte: &u8| printable::is_readable(*byte) || matches!(byte, b'{' | b'}');
        self.bytes(length).filter(|text| text.iter().all(is_name))
    }
}
