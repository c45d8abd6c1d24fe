//! The options of a TCP header (RFC 9293, section 3.1).
//!
//! Owns: one walk over kind, length and value. Options that nobody here knows are named by their kinds and stepped over;
//! etherparse, which finds the header, ends its own walk at the first of them, and Fast Open is one.

/// What the options of a SYN or SYN-ACK say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Maximum segment size (kind 2).
    pub mss: Option<u16>,
    /// Window scale (kind 3; RFC 7323, section 2).
    pub window_scale: Option<u8>,
    /// SACK-permitted (kind 4; RFC 2018).
    pub sack_permitted: bool,
    /// Timestamps (kind 8; RFC 7323, section 3).
    pub timestamps: bool,
    /// Fast Open (kind 34; RFC 7413): bytes of the cookie; 0 asks for one.
    pub fast_open: Option<u8>,
    /// Kinds of the first four others; 0 for none.
    pub others: [u8; 4],
    /// An option's length is wrong, or goes beyond the end.
    pub is_malformed: bool,
}

/// Reads options to their end, or to the first that is not well-formed.
pub fn options(bytes: &[u8]) -> Options {
    let mut options = Options::default();
    let mut rest = bytes;
    while let Some((kind, behind)) = rest.split_first() {
        match *kind {
            END => break,
            NO_OPERATION => rest = behind,
            kind => {
                let Some((value, behind)) = value(behind) else {
                    options.is_malformed = true;
                    break;
                };
                options.take(kind, value);
                rest = behind;
            }
        }
    }
    options
}

/// The value of an option whose kind was read, and what is behind it: its length counts kind and length too.
fn value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, behind) = bytes.split_first()?;
    behind.split_at_checked(usize::from(*length).checked_sub(2)?)
}

impl Options {
    fn take(&mut self, kind: u8, value: &[u8]) {
        match (kind, value) {
            (2, [high, low]) => self.mss = Some(u16::from_be_bytes([*high, *low])),
            (3, [shift]) => self.window_scale = Some(*shift),
            (4, []) => self.sack_permitted = true,
            (8, [_, _, _, _, _, _, _, _]) => self.timestamps = true,
            (34, cookie) => self.fast_open = u8::try_from(cookie.len()).ok(),
            (2..=4 | 8, _) => self.is_malformed = true,
            (kind, _) => {
                if let Some(free) = self.others.iter_mut().find(|other| **other == 0) {
                    *free = kind;
                }
            }
        }
    }
}

const END: u8 = 0;
const NO_OPERATION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux sends them, with a request for a Fast Open cookie and a capability of MPTCP behind.
    const SYN: [u8; 26] = [
        2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7, 34, 2, 30, 4, 0, 1,
    ];

    #[test]
    fn the_options_of_a_syn() {
        let read = options(&SYN);
        let expected = Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: true,
            fast_open: Some(0),
            others: [30, 0, 0, 0],
            is_malformed: false,
        };
        assert_eq!(read, expected);
        assert_eq!(
            options(&[2, 4, 1, 1, 0, 9, 9, 9]).mss,
            Some(0x101),
            "what is behind the end is no option"
        );
    }

    #[test]
    fn every_prefix_is_read_as_far_as_it_goes() {
        let whole = options(&SYN);
        for cut in 0..SYN.len() {
            let read = options(&SYN[..cut]);
            assert!(read.mss.is_none() || read.mss == whole.mss, "{cut}");
            let is_between = [0, 4, 6, 16, 17, 20, 22].contains(&cut);
            assert_eq!(read.is_malformed, !is_between, "{cut}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for bytes in [
            &[2, 0][..],
            &[2, 1],
            &[2, 3, 1],
            &[3, 4, 1, 1],
            &[8, 2],
            &[5],
        ] {
            assert!(options(bytes).is_malformed, "{bytes:?}");
        }
        let many = [5, 2, 6, 2, 7, 2, 9, 2, 10, 2];
        assert_eq!(options(&many).others, [5, 6, 7, 9]);
    }
}
