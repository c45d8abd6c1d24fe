//! Domain names in presentation form (RFC 1035, 5.1), without the dot at the end; the root is `.`.
//!
//! Owns: the escapes, so that a name is printable ASCII whatever its octets are (RFC 4343, 2.1), and equality without
//! case. Refuses: to fold the case away, and to decode internationalised names.

use std::{
    fmt::{self, Write as _},
    hash::{Hash, Hasher},
};

use compact_str::CompactString;
use domain::base::name::ParsedName;

/// A domain name, as received, in presentation form.
#[derive(Debug, Clone)]
pub struct Name(CompactString);

impl Name {
    /// At most 255 octets come to at most four characters each.
    pub(super) fn of(parsed: &ParsedName<&[u8]>) -> Self {
        // Nearly all names stand for themselves: those are put together here, and looked at once.
        let mut plain = [b'.'; MAX_OCTETS];
        let (mut length, mut is_all_plain) = (0, true);
        for label in parsed.iter().filter(|label| !label.is_root()) {
            let octets = label.as_slice();
            let Some(place) = plain.get_mut(length..length + octets.len()) else {
                return Self::escaped(parsed);
            };
            place.copy_from_slice(octets);
            is_all_plain &= octets.iter().all(|octet| is_plain(*octet));
            length += octets.len() + 1;
        }
        // Between labels the dots stand already; the root has one of its own.
        let text = plain.get(..length.saturating_sub(1).max(1));
        match text.and_then(|text| std::str::from_utf8(text).ok()) {
            Some(text) if is_all_plain => Self(CompactString::new(text)),
            _ => Self::escaped(parsed),
        }
    }

    fn escaped(parsed: &ParsedName<&[u8]>) -> Self {
        let mut text = CompactString::default();
        for label in parsed.iter().filter(|label| !label.is_root()) {
            if !text.is_empty() {
                text.push('.');
            }
            label
                .as_slice()
                .iter()
                .for_each(|octet| push(&mut text, *octet));
        }
        if text.is_empty() {
            text.push('.');
        }
        Self(text)
    }

    #[cfg(test)]
    pub(super) fn from_text(text: &str) -> Self {
        Self(CompactString::new(text))
    }

    /// The name: printable ASCII without spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Of a name with its labels' lengths, and with the root's (RFC 1035, 2.3.4).
const MAX_OCTETS: usize = 255;

/// Whether an octet stands for itself.
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'.' | b'\\')
}

fn push(text: &mut CompactString, octet: u8) {
    match octet {
        b'.' | b'\\' => {
            text.push('\\');
            text.push(char::from(octet));
        }
        _ if is_plain(octet) => text.push(char::from(octet)),
        // Writing to a string does not fail.
        _ => drop(write!(text, "\\{octet:03}")),
    }
}

/// Without case (RFC 4343, 3).
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

/// Without case, as it is compared.
impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Eight octets at a time: a hasher pays for each call. Escapes have digits and printable octets alone.
        for octets in self.0.as_bytes().chunks(8) {
            let mut eight = [0; 8];
            for (lower, octet) in eight.iter_mut().zip(octets) {
                *lower = octet.to_ascii_lowercase();
            }
            state.write_u64(u64::from_le_bytes(eight));
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
