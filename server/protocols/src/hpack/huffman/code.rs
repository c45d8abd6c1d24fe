//! Tables of the Huffman code, made of the lengths in RFC 7541, appendix B.

#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "in functions that the compiler runs on the lengths below: an index out of range ends the build, and the \
              numbers that are cast are symbols, lengths and their counts"
)]

/// The symbol that ends nothing: only the beginning of its code may stand in a text, as padding.
pub(super) const EOS: u16 = 256;

/// Codes up to this length are decoded by one look into [`SHORT`].
pub(super) const SHORT_BITS: u32 = 12;

const MAX_BITS: usize = 30;

/// What the next [`SHORT_BITS`] bits begin with.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// One or two symbols, the first one in the low byte.
    pub(super) symbols: u16,
    /// The length of the first code; 0 if it is longer than [`SHORT_BITS`].
    pub(super) first_bits: u8,
    /// The length of all codes.
    pub(super) bits: u8,
}

impl Step {
    pub(super) const LONG: Self = Self {
        symbols: 0,
        first_bits: 0,
        bits: 0,
    };

    /// How many symbols there are, of a code that is not long.
    #[inline]
    pub(super) fn count(self) -> usize {
        1 + usize::from(self.bits > self.first_bits)
    }
}

/// By the next [`SHORT_BITS`] bits.
pub(super) static SHORT: [Step; 1 << SHORT_BITS] = short_steps();

/// The symbol that `word` begins with from its most significant bit down, and the length of its code.
pub(super) fn long_symbol(word: u64) -> (u16, u32) {
    let code = word >> 32;
    // The last limit is above every code.
    let Some(row) = ROWS.iter().find(|row| code < row.limit) else {
        return (EOS, 30);
    };
    let nth = (code >> (32 - row.bits)) - row.first;
    let at = usize::try_from(nth).map_or(usize::MAX, |nth| row.offset + nth);
    (SYMBOLS.get(at).copied().unwrap_or(EOS), row.bits)
}

/// The codes of one length.
#[derive(Clone, Copy)]
struct Row {
    bits: u32,
    /// The first code.
    first: u64,
    /// Where its symbol is in [`SYMBOLS`].
    offset: usize,
    /// Bits that begin with one of these codes, or a shorter one, are as a number of 32 bits below this.
    limit: u64,
}

/// By length, from 0 up.
static ROWS: [Row; MAX_BITS + 1] = rows();

/// All symbols by their code's length, then by number.
static SYMBOLS: [u16; 257] = symbols();

/// Every sequence of bits begins with a code: the last one is all ones.
const _: () = assert!(rows()[MAX_BITS].limit == 1 << 32);

const fn symbols() -> [u16; 257] {
    let mut symbols = [0; 257];
    let (mut bits, mut at) = (0, 0);
    while bits <= MAX_BITS {
        let mut symbol = 0;
        while symbol <= EOS {
            if LENGTHS[symbol as usize] as usize == bits {
                symbols[at] = symbol;
                at += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    symbols
}

const fn rows() -> [Row; MAX_BITS + 1] {
    let mut rows = [Row {
        bits: 0,
        first: 0,
        offset: 0,
        limit: 0,
    }; MAX_BITS + 1];
    let (mut bits, mut next, mut offset) = (1, 0, 0);
    while bits <= MAX_BITS {
        next <<= 1;
        let mut count = 0;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                count += 1;
            }
            symbol += 1;
        }
        rows[bits] = Row {
            bits: bits as u32,
            first: next,
            offset,
            limit: (next + count) << (32 - bits),
        };
        next += count;
        offset += count as usize;
        bits += 1;
    }
    rows
}

const fn short_steps() -> [Step; 1 << SHORT_BITS] {
    let (rows, symbols) = (rows(), symbols());
    let mut steps = [Step::LONG; 1 << SHORT_BITS];
    let mut prefix = 0;
    while prefix < steps.len() {
        let code = (prefix as u64) << (32 - SHORT_BITS);
        if let Some((first, first_bits)) = short_symbol(&rows, &symbols, code, SHORT_BITS as usize)
        {
            let left = SHORT_BITS as usize - first_bits;
            let behind = (code << first_bits) & 0xffff_ffff;
            let (second, bits) = match short_symbol(&rows, &symbols, behind, left) {
                Some((second, second_bits)) => (second, first_bits + second_bits),
                None => (0, first_bits),
            };
            steps[prefix] = Step {
                symbols: first | second << 8,
                first_bits: first_bits as u8,
                bits: bits as u8,
            };
        }
        prefix += 1;
    }
    steps
}

/// The symbol that `code`, a number of 32 bits of which `known_bits` are known, begins with, and its length.
const fn short_symbol(
    rows: &[Row; MAX_BITS + 1],
    symbols: &[u16; 257],
    code: u64,
    known_bits: usize,
) -> Option<(u16, usize)> {
    let mut bits = 1;
    while bits <= known_bits {
        let row = rows[bits];
        if code < row.limit {
            let nth = (code >> (32 - bits)) - row.first;
            return Some((symbols[row.offset + nth as usize], bits));
        }
        bits += 1;
    }
    None
}

/// The length of each symbol's code.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];
