//! The Huffman code (RFC 7541, 5.2 and appendix B), decoded from tables that the compiler makes of its code lengths.
//!
//! The code is canonical: codes of one length follow one another in the order of their symbols, and a longer code is
//! the greater number. Lengths are therefore all that is written down. Texts are made of short codes: one look at
//! twelve bits gives up to two symbols, and eight bytes are written at once. Codes of more than twelve bits are
//! control bytes, a few signs and what is not ASCII; they are found by comparison with the last code of each length.

mod code;

use super::Malformed;
use code::{EOS, SHORT, SHORT_BITS, long_symbol};

/// Room that [`decode`] wants for this many coded bytes. The shortest code has five bits; whole words are written.
pub(super) fn room(coded_bytes: usize) -> usize {
    coded_bytes.saturating_mul(8) / 5 + size_of::<u64>()
}

/// Decodes `coded` to the start of `out`, which has [`room`] for it; gives the length.
pub(super) fn decode(coded: &[u8], out: &mut [u8]) -> Result<usize, Malformed> {
    let mut bits = Bits {
        word: 0,
        count: 0,
        rest: coded,
    };
    let mut length = 0;
    while bits.refill() {
        let (symbols, count) = bits.short_symbols();
        if count > 0 {
            put(out, length, symbols);
            length += count;
        } else {
            put(out, length, u64::from(bits.long_symbol()?));
            length += 1;
        }
    }
    // What is beyond the end reads as padding: the most significant bits of EOS, ones.
    bits.word |= u64::MAX.checked_shr(bits.count).unwrap_or(0);
    while bits.count > 0 {
        let step = bits.step();
        if step.first_bits == 0 {
            let (_, long_bits) = long_symbol(bits.word);
            if long_bits > bits.count {
                break;
            }
            put(out, length, u64::from(bits.long_symbol()?));
            length += 1;
        } else if u32::from(step.bits) <= bits.count {
            put(out, length, u64::from(step.symbols));
            length += step.count();
            bits.consume(step.bits);
        } else if u32::from(step.first_bits) <= bits.count {
            put(out, length, u64::from(step.symbols));
            length += 1;
            bits.consume(step.first_bits);
        } else {
            break;
        }
    }
    // Padding is shorter than an octet, and its bits, which no code fitted, are ones.
    if bits.count < 8 && (!bits.word).leading_zeros() >= bits.count {
        Ok(length)
    } else {
        Err(Malformed::HuffmanPadding)
    }
}

/// Writes all of `symbols`; those that are none are written over by the next.
#[inline]
fn put(out: &mut [u8], at: usize, symbols: u64) {
    if let Some(room) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *room = symbols.to_le_bytes();
    }
}

/// Bits that are to be decoded.
struct Bits<'a> {
    /// The next ones, from the most significant bit down.
    word: u64,
    /// How many of `word` count; below them may be bits of `rest`, never others.
    count: u32,
    rest: &'a [u8],
}

impl Bits<'_> {
    /// Fills the word; false when `rest` is empty and the word holds less than [`Self::short_symbols`] may take.
    #[inline]
    fn refill(&mut self) -> bool {
        if let Some((next, _)) = self.rest.split_first_chunk() {
            self.word |= u64::from_be_bytes(*next) >> self.count;
            let octets = (63 - self.count) / 8;
            self.count += octets * 8;
            self.rest = usize::try_from(octets)
                .ok()
                .and_then(|octets| self.rest.get(octets..))
                .unwrap_or(&[]);
            return true;
        }
        while self.count <= 56
            && let Some((&next, behind)) = self.rest.split_first()
        {
            self.word |= u64::from(next) << (56 - self.count);
            self.count += 8;
            self.rest = behind;
        }
        self.count >= 4 * SHORT_BITS
    }

    /// Up to eight symbols of short codes, the first one lowest, and their count.
    #[inline]
    fn short_symbols(&mut self) -> (u64, usize) {
        let (mut symbols, mut count) = (0, 0);
        for _ in 0..4 {
            let step = self.step();
            if step.first_bits == 0 {
                break;
            }
            symbols |= u64::from(step.symbols) << (8 * count);
            count += step.count();
            self.consume(step.bits);
        }
        (symbols, count)
    }

    /// The symbol whose code is longer than [`SHORT_BITS`].
    #[cold]
    fn long_symbol(&mut self) -> Result<u8, Malformed> {
        let (symbol, bits) = long_symbol(self.word);
        self.word <<= bits;
        self.count -= bits;
        // EOS in a text is an error: 5.2. No other symbol is more than a byte.
        debug_assert!(symbol <= EOS);
        u8::try_from(symbol).map_err(|_| Malformed::HuffmanEos)
    }

    #[inline]
    fn step(&self) -> code::Step {
        let at = usize::try_from(self.word >> (64 - SHORT_BITS)).ok();
        at.and_then(|at| SHORT.get(at))
            .copied()
            .unwrap_or(code::Step::LONG)
    }

    #[inline]
    fn consume(&mut self, bits: u8) {
        self.word <<= bits;
        self.count -= u32::from(bits);
    }
}
