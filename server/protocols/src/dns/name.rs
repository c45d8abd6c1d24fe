//! Domain names in presentation form (RFC 1035, 5.1), without the dot at the end; the root is `.`.
//!
//! Owns: the escapes, so that a name is printable ASCII whatever its octets are (RFC 4343, 2.1), and equality without
//! case. Refuses: to fold the case away, and to decode internationalised names.

use std::fmt::{self, Write as _};

use compact_str::CompactString;
use domain::base::name::ParsedName;

/// A domain name, as received, in presentation form.
#[derive(Debug, Clone)]
pub struct Name(CompactString);

impl Name {
    /// At most 255 octets come to at most four characters each.
    pub(super) fn of(parsed: &ParsedName<&[u8]>) -> Self {
        let mut text = CompactString::default();
        for label in parsed.iter().filter(|label| !label.is_root()) {
            if !text.is_empty() {
                text.push('.');
            }
            let octets = label.as_slice();
            match std::str::from_utf8(octets) {
                Ok(plain) if octets.iter().all(|octet| is_plain(*octet)) => text.push_str(plain),
                _ => octets.iter().for_each(|octet| push(&mut text, *octet)),
            }
        }
        if text.is_empty() {
            text.push('.');
        }
        Self(text)
    }

    /// The name: printable ASCII without spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
