//! The few instructions of `aarch64` that matter: where direct jumps and calls go, and what an entry of a procedure linkage
//! table is.

/// The instructions of `bytes`, with their addresses from `address` on.
pub(crate) fn words(bytes: &[u8], address: u64) -> impl Iterator<Item = (u64, u32)> {
    (address..)
        .step_by(4)
        .zip(bytes.as_chunks::<4>().0)
        .map(|(address, bytes)| (address, u32::from_le_bytes(*bytes)))
}

/// Where `b` or `bl` goes.
pub(crate) fn target(address: u64, word: u32) -> Option<u64> {
    (word & 0x7c00_0000 == 0x1400_0000)
        .then(|| address.wrapping_add_signed(signed(word & 0x03ff_ffff, 26) * 4))
}

/// The slot that this entry of a procedure linkage table jumps through: `adrp x16, page; ldr x17, [x16, offset]`, maybe
/// behind a mark for indirect jumps.
pub(crate) fn slot(bytes: &[u8], address: u64) -> Option<u64> {
    const MARK: u32 = 0xd503_245f;
    let mut words = words(bytes, address).skip_while(|(_, word)| *word == MARK);
    let (place, page) = words.next()?;
    let (_, load) = words.next()?;
    if page & 0x9f00_001f != 0x9000_0010 || load & 0xffc0_03ff != 0xf940_0211 {
        return None;
    }
    let pages = signed((page >> 5 & 0x7_ffff) << 2 | page >> 29 & 3, 21);
    let base = (place & !0xfff).wrapping_add_signed(pages * 4096);
    Some(base.wrapping_add(u64::from(load >> 10 & 0xfff) * 8))
}

/// The number in the lowest `bits`, whose highest is its sign.
fn signed(number: u32, bits: u32) -> i64 {
    let number = i64::from(number);
    if number >> (bits - 1) & 1 == 1 {
        number - (1 << bits)
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::{slot, target};

    #[test]
    fn jumps() {
        assert_eq!(target(0x1000, 0x1400_0001), Some(0x1004));
        assert_eq!(target(0x1000, 0x17ff_ffff), Some(0xffc));
        assert_eq!(target(0x1000, 0x97ff_fc00), Some(0));
        assert_eq!(target(0x1000, 0xd65f_03c0), None);
    }

    #[test]
    fn table_entries() {
        // adrp x16, 0x21000; ldr x17, [x16, #24]; add x16, x16, #24; br x17
        let entry = [0xb000_0110_u32, 0xf940_0e11, 0x9100_6210, 0xd61f_0220];
        let bytes: Vec<u8> = entry.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(slot(&bytes, 0x530), Some(0x21018));
        let marked: Vec<u8> = [0xd503_245f_u32]
            .iter()
            .chain(&entry)
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!(slot(&marked, 0x530), Some(0x21018));
        assert_eq!(slot(&bytes[4..], 0x530), None);
    }
}
