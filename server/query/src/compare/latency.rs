//! Whether latencies moved, by their histograms.

use std::collections::BTreeSet;

use headwater_schema::latency::bucket_of;

use crate::chance;
use crate::integer::float;
use crate::quantile::Latencies;

/// Whether latencies moved, and how: the middle of them by their ranks, or the slow ones by how many are beyond what one in
/// twenty was before.
pub(super) fn shift(before: &Latencies, after: &Latencies) -> Option<(f64, bool)> {
    let moved = |was: u64, is: u64, ratio: f64| {
        let (was, is) = (float(was), float(is));
        is > was * ratio || was > is * ratio
    };
    let (was, is) = (before.quantile(50)?, after.quantile(50)?);
    let chance = chance::of_normal(rank_sum(before, after));
    if chance <= chance::MOST && moved(was, is, LATENCY_RATIO) {
        return Some((chance, is > was));
    }
    let (was, is) = (before.quantile(95)?, after.quantile(95)?);
    if before.sum().min(after.sum()) < FEWEST_OF_TAIL {
        return None;
    }
    let limit = bucket_of(was.min(is));
    let beyond = |latencies: &Latencies| {
        let slow = latencies.buckets().filter(|bucket| *bucket > limit);
        let slow = slow.map(|bucket| latencies.count(bucket)).sum();
        (slow, latencies.sum())
    };
    let chance = chance::of_shares(beyond(after), beyond(before));
    (chance <= chance::MOST && moved(was, is, TAIL_RATIO)).then_some((chance, is > was))
}

/// Mann and Whitney's rank sum test of two histograms, as a number of standard deviations.
fn rank_sum(before: &Latencies, after: &Latencies) -> f64 {
    let (n1, n2) = (float(before.sum()), float(after.sum()));
    let n = n1 + n2;
    if n1 < FEWEST_LATENCIES || n2 < FEWEST_LATENCIES {
        return 0.0;
    }
    let buckets: BTreeSet<u16> = before.buckets().chain(after.buckets()).collect();
    let (mut below, mut ranks, mut ties) = (0.0, 0.0, 0.0);
    for bucket in buckets {
        let (a, b) = (float(before.count(bucket)), float(after.count(bucket)));
        let here = a + b;
        ranks += b * (below + f64::midpoint(here, 1.0));
        ties += here * (here * here - 1.0);
        below += here;
    }
    let u = ranks - n2 * (n2 + 1.0) / 2.0;
    let variance = n1 * n2 / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    if variance <= 0.0 {
        return 0.0;
    }
    (u - n1 * n2 / 2.0) / variance.sqrt()
}

/// Of the slow ones.
const TAIL_RATIO: f64 = 2.0;
/// So that one in twenty is something.
const FEWEST_OF_TAIL: u64 = 40;
const LATENCY_RATIO: f64 = 1.3;
const FEWEST_LATENCIES: f64 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(all: &[(u16, u64)]) -> Latencies {
        let mut latencies = Latencies::default();
        for (bucket, count) in all {
            for _ in 0..*count {
                latencies.add_one(*bucket);
            }
        }
        latencies
    }

    #[test]
    fn ranks_tell_a_shift_and_no_shift() {
        let fast = latencies(&[(100, 20), (101, 20)]);
        let slow = latencies(&[(140, 20), (141, 20)]);
        assert!(rank_sum(&fast, &fast).abs() < 1e-9);
        assert!(rank_sum(&fast, &slow) > 7.0);
        assert!((rank_sum(&fast, &slow) + rank_sum(&slow, &fast)).abs() < 1e-9);
        assert!(
            rank_sum(&fast, &latencies(&[(140, 3)])).abs() < 1e-9,
            "too few"
        );
        let all_alike = latencies(&[(100, 50)]);
        assert!(rank_sum(&all_alike, &all_alike).abs() < 1e-9, "no variance");
    }

    #[test]
    fn the_slow_ones_alone_can_move() {
        let fast = latencies(&[(100, 100)]);
        let some_slow = latencies(&[(100, 80), (180, 20)]);
        assert_eq!(
            shift(&fast, &some_slow).map(|(_, is_slower)| is_slower),
            Some(true)
        );
        assert_eq!(
            shift(&some_slow, &fast).map(|(_, is_slower)| is_slower),
            Some(false)
        );
        assert_eq!(shift(&fast, &latencies(&[(100, 99), (180, 1)])), None);
        assert_eq!(shift(&fast, &fast), None);
    }
}
