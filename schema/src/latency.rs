//! The histogram of latencies in a roll-up row: shared by the writer that fills it and the reader that merges it.
//!
//! Bucket `b` holds latencies `v` in nanoseconds with `bucket_of(v) == b`: eight buckets for each power of two, so a
//! quantile read from the middle of a bucket is within 6 % of the true one. Encoded sparsely, ascending, as pairs of
//! LEB128 numbers (distance to the bucket before, count).

/// Number of buckets: 8 for each of 64 powers of two.
pub const BUCKETS: usize = 512;

/// The bucket that a latency in nanoseconds falls into.
pub const fn bucket_of(latency_ns: u64) -> u16 {
    if latency_ns < 8 {
        return latency_ns as u16;
    }
    let exponent = 63 - latency_ns.leading_zeros();
    let fraction = (latency_ns >> (exponent - 3)) & 7;
    ((exponent - 2) * 8) as u16 + fraction as u16
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
