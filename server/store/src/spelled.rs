//! Addresses as text, kept for the next row: from row to row most are the same, and to compare costs less than to spell.

use std::fmt::Write as _;
use std::net::IpAddr;

/// Addresses that were spelled last.
#[derive(Debug, Default)]
pub(crate) struct Spelled {
    addresses: Vec<IpAddr>,
    text: String,
}

impl Spelled {
    /// The text of `addresses`, with commas.
    pub(crate) fn of(&mut self, addresses: &[IpAddr]) -> &str {
        if self.addresses != addresses {
            self.addresses.clear();
            self.addresses.extend_from_slice(addresses);
            self.text.clear();
            for (at, address) in addresses.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                // Writing to a string does not fail.
                let _ = write!(self.text, "{comma}{address}");
            }
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_before_does_not_matter() {
        let (one, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), "fd00::2".parse().unwrap());
        let mut spelled = Spelled::default();
        for (addresses, text) in [
            (&[][..], ""),
            (&[one], "10.0.0.1"),
            (&[one, other], "10.0.0.1,fd00::2"),
            (&[one, other], "10.0.0.1,fd00::2"),
            (&[], ""),
            (&[other], "fd00::2"),
        ] {
            assert_eq!(spelled.of(addresses), text);
        }
    }
}
