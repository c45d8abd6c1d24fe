//! The histogram of latencies in a roll-up row: shared by the writer that fills it and the reader that merges it.
//!
//! Bucket `b` holds latencies `v` in nanoseconds with `bucket_of(v) == b`: eight buckets for each power of two, so a
//! quantile read from the middle of a bucket is within 6 % of the true one. Encoded sparsely, ascending, as pairs of
//! LEB128 numbers (distance to the bucket before, count).

/// Number of buckets: 8 for each of 64 powers of two.
pub const BUCKETS: usize = 512;

/// The bucket that a latency in nanoseconds falls into.
pub fn bucket_of(latency_ns: u64) -> u16 {
    let bucket = match latency_ns.checked_ilog2() {
        None | Some(0..3) => latency_ns,
        Some(exponent) => u64::from(exponent - 2) * 8 + ((latency_ns >> (exponent - 3)) & 7),
    };
    u16::try_from(bucket).unwrap_or(u16::MAX)
}

/// The middle of a bucket in nanoseconds.
pub const fn middle_of(bucket: u16) -> u64 {
    if bucket < 8 {
        return bucket as u64;
    }
    let exponent = bucket as u32 / 8 + 2;
    if exponent > 62 {
        return u64::MAX;
    }
    let fraction = bucket as u64 % 8;
    let low = (8 + fraction) << (exponent - 3);
    low + (1 << (exponent - 3)) / 2
}

/// Writes a histogram, given as (bucket, count) with ascending buckets, byte by byte to `put`. Empty buckets are left out.
pub fn encode(counts: impl IntoIterator<Item = (u16, u64)>, mut put: impl FnMut(u8)) {
    let mut before = 0;
    for (bucket, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        put_number(u64::from(bucket.saturating_sub(before)), &mut put);
        put_number(count, &mut put);
        before = bucket;
    }
}

/// Reads what `encode` wrote. What is damaged, and all behind it, is left out.
pub fn decode(encoded: &[u8]) -> Counts<'_> {
    Counts {
        rest: encoded,
        before: 0,
    }
}

/// The (bucket, count) pairs of an encoded histogram, ascending.
#[derive(Debug, Clone)]
pub struct Counts<'a> {
    rest: &'a [u8],
    before: u16,
}

impl Iterator for Counts<'_> {
    type Item = (u16, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let distance = take_number(&mut self.rest)?;
        let count = take_number(&mut self.rest)?;
        let bucket = u16::try_from(distance)
            .ok()
            .and_then(|distance| self.before.checked_add(distance))
            .filter(|bucket| usize::from(*bucket) < BUCKETS);
        if bucket.is_none() {
            self.rest = &[];
        }
        self.before = bucket?;
        Some((self.before, count))
    }
}

/// Unsigned LEB128: seven bits a byte, the lowest first, the high bit set on all but the last.
fn put_number(mut number: u64, put: &mut impl FnMut(u8)) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return put(low & 0x7f);
        }
        put(low | 0x80);
    }
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    fn encoded(counts: &[(u16, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(counts.iter().copied(), |byte| bytes.push(byte));
        bytes
    }

    #[test]
    fn round_trips() {
        let last = u16::try_from(BUCKETS).unwrap() - 1;
        for counts in [
            &[][..],
            &[(0, 1)],
            &[(last, u64::MAX)],
            &[(0, 127), (1, 128), (130, 16_384), (last, 1)],
        ] {
            assert_eq!(decode(&encoded(counts)).collect::<Vec<_>>(), counts);
        }
        assert_eq!(encoded(&[(3, 1), (5, 200)]), [3, 1, 2, 0xc8, 1]);
        assert_eq!(encoded(&[(3, 0), (5, 1)]), [5, 1]);
    }

    #[test]
    fn every_cut_gives_the_pairs_before_it() {
        let counts = [(7, 300), (200, 1), (511, 70_000)];
        let whole = encoded(&counts);
        for end in 0..=whole.len() {
            let read: Vec<_> = decode(&whole[..end]).collect();
            assert_eq!(read, counts[..read.len()], "{end}");
        }
    }

    #[test]
    fn damage_ends_it() {
        for damaged in [
            &[0xff; 12][..],
            &[0x80, 0x04, 1],
            &[0xff, 0x03, 1, 1, 1],
            &[0xff, 0xff, 0xff, 1, 1, 1, 1],
        ] {
            assert!(decode(damaged).count() <= 1, "{damaged:?}");
        }
    }

    #[test]
    fn a_bucket_holds_its_middle() {
        for bucket in 0..488 {
            assert_eq!(bucket_of(middle_of(bucket)), bucket, "{bucket}");
        }
    }
}
