//! Quantiles of merged latency histograms.

use std::collections::BTreeMap;

use headwater_schema::latency::{decode, middle_of};

/// A histogram being merged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    counts: BTreeMap<u16, u64>,
    sum: u64,
}

impl Latencies {
    /// Adds an encoded histogram; what is damaged of it is left out.
    pub(crate) fn add(&mut self, encoded: &[u8]) {
        for (bucket, count) in decode(encoded) {
            let sum = self.counts.entry(bucket).or_default();
            *sum = sum.saturating_add(count);
            self.sum = self.sum.saturating_add(count);
        }
    }

    /// Adds one latency.
    pub(crate) fn add_one(&mut self, bucket: u16) {
        let sum = self.counts.entry(bucket).or_default();
        *sum = sum.saturating_add(1);
        self.sum = self.sum.saturating_add(1);
    }

    /// Adds another histogram.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            let sum = self.counts.entry(*bucket).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many there are.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// The buckets that hold any, in order.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = u16> {
        self.counts.keys().copied()
    }

    /// How many a bucket holds.
    pub(crate) fn count(&self, bucket: u16) -> u64 {
        self.counts.get(&bucket).copied().unwrap_or(0)
    }

    /// The latency that `percent` of the exchanges do not exceed.
    pub(crate) fn quantile(&self, percent: u64) -> Option<u64> {
        let rank = self.sum.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0_u64;
        self.counts.iter().find_map(|(bucket, count)| {
            seen = seen.saturating_add(*count);
            (seen >= rank).then(|| middle_of(*bucket))
        })
    }
}

#[cfg(test)]
mod tests {
    use headwater_schema::latency::bucket_of;

    use super::*;

    #[test]
    fn merged_quantiles() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(50), None);
        let fast = u8::try_from(bucket_of(1_000)).unwrap();
        let slow = u8::try_from(bucket_of(1_000_000) - bucket_of(1_000)).unwrap();
        latencies.add(&[fast, 90, slow, 1]);
        latencies.add(&[fast, 8, slow, 1]);
        for (percent, expected) in [
            (50, 1_000),
            (95, 1_000),
            (98, 1_000),
            (99, 1_000_000),
            (100, 1_000_000),
        ] {
            let found = latencies.quantile(percent).unwrap();
            assert!(
                found.abs_diff(expected) * 16 < expected,
                "{percent}: {found}"
            );
        }
        latencies.add(&[0xff, 0xff, 0xff, 0xff]);
        latencies.add(&[1]);
    }
}
