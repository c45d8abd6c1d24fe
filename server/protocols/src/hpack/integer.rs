//! Integers with a prefix (RFC 7541, 5.1).
//!
//! ```text
//!   0   1   2   3   4   5   6   7
//! +---+---+---+---+---+---+---+---+
//! | ?   ?   ? | 1   1   1   1   1 |   a prefix of N bits, here 5, all set: more octets follow
//! +---+---+---+-------------------+
//! | 1 |    Value-(2^N-1) LSB      |
//! +---+---------------------------+
//!                 ...
//! +---+---------------------------+
//! | 0 |    Value-(2^N-1) MSB      |
//! +---+---------------------------+
//! ```
//!
//! Refuses: more than five octets behind the prefix, and values above 32 bits, as the RFC asks for a limit.

use super::Malformed;

/// Octets behind the prefix: as many as 32 bits fill.
const MAX_OCTETS: usize = 5;

/// Reads the integer whose prefix, of the bits that are set in `mask`, is in `first`, and which goes on in `rest`.
#[inline]
pub(super) fn read(first: u8, mask: u8, rest: &mut &[u8]) -> Result<u32, Malformed> {
    let prefix = first & mask;
    if prefix < mask {
        return Ok(u32::from(prefix));
    }
    read_octets(prefix, rest)
}

fn read_octets(prefix: u8, rest: &mut &[u8]) -> Result<u32, Malformed> {
    let mut value = u64::from(prefix);
    for shift in (0..MAX_OCTETS).map(|octet| 7 * octet) {
        let (&octet, behind) = rest.split_first().ok_or(Malformed::IntegerCut)?;
        *rest = behind;
        // At most 35 bits, so that 64 do not overflow.
        value += u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return u32::try_from(value).map_err(|_| Malformed::Integer);
        }
    }
    Err(Malformed::Integer)
}

#[cfg(test)]
mod tests {
    use super::{Malformed, read};

    #[test]
    fn examples_c_1() {
        let value = |first, mask, octets: &[u8]| {
            let mut rest = octets;
            (read(first, mask, &mut rest), rest.len())
        };
        // C.1.1 to C.1.3, with bits of other meaning in front.
        assert_eq!(value(0b1110_1010, 0x1f, &[]), (Ok(10), 0));
        assert_eq!(value(0b1111_1111, 0x1f, &[0x9a, 0x0a]), (Ok(1337), 0));
        assert_eq!(value(42, 0xff, &[7]), (Ok(42), 1));
        // The largest, and one more.
        let mut octets = [0x80, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(value(0x7f, 0x7f, &octets), (Ok(u32::MAX), 0));
        octets[0] += 1;
        assert_eq!(value(0x7f, 0x7f, &octets).0, Err(Malformed::Integer));
    }
}
