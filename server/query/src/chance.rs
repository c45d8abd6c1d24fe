//! How likely chance makes a difference: shares by Fisher's exact test, or the G-test where there are many; counts in two
//! times by the exact binomial or the likelihood ratio of two Poisson rates; latencies by ranks.
//!
//! Owns: the tests, and from where on a difference is told.

use std::f64::consts::PI;

use crate::integer::float;

/// Of a difference that is told.
pub(crate) const MOST: f64 = 1e-4;

/// Of two shares, both ways: so many of so many, and the same of others.
pub(crate) fn of_shares((a, of_a): (u64, u64), (b, of_b): (u64, u64)) -> f64 {
    if of_a == 0 || of_b == 0 {
        return 1.0;
    }
    if of_a + of_b <= MOST_EXACT {
        return fisher((a, of_a), (b, of_b));
    }
    chi_squared(g_statistic((a, of_a), (b, of_b)))
}

/// Of `count` events in one time and none in another, if they came as often in both.
pub(crate) fn of_absence(count: u64, own_s: f64, other_s: f64) -> f64 {
    (-(float(count) * (1.0 + other_s / own_s).ln())).exp()
}

/// Of two counts in two times.
pub(crate) fn of_rates((a, length_a): (u64, f64), (b, length_b): (u64, f64)) -> f64 {
    let all = float(a) + float(b);
    let term = |count: u64, length: f64| {
        if count == 0 {
            return 0.0;
        }
        let expected = all * length / (length_a + length_b);
        float(count) * (float(count) / expected).ln()
    };
    chi_squared(2.0 * (term(a, length_a) + term(b, length_b)))
}

/// Of a statistic in standard deviations of the normal distribution, both ways.
pub(crate) fn of_normal(z: f64) -> f64 {
    chi_squared(z * z)
}

/// In words: at most so.
pub(crate) fn words(chance: f64) -> Option<&'static str> {
    let levels = [
        (1e-6, "<1e-6"),
        (1e-5, "<1e-5"),
        (1e-4, "<1e-4"),
        (1e-3, "<0.001"),
        (1e-2, "<0.01"),
    ];
    levels
        .into_iter()
        .find(|(most, _)| chance <= *most)
        .map(|(_, words)| words)
}

/// Fisher's exact test: of all tables with these sums, those that are no more likely than this one.
fn fisher((a, of_a): (u64, u64), (b, of_b): (u64, u64)) -> f64 {
    let (has, all) = (a + b, of_a + of_b);
    let factorials: Vec<f64> = std::iter::once(0.0)
        .chain((1..=all).scan(0.0, |sum, number| {
            *sum += float(number).ln();
            Some(*sum)
        }))
        .collect();
    let ln = |number: u64| {
        let place = usize::try_from(number).ok();
        place
            .and_then(|place| factorials.get(place))
            .copied()
            .unwrap_or(0.0)
    };
    let choose = |of: u64, some: u64| ln(of) - ln(some) - ln(of - some);
    let likely = |x: u64| (choose(of_a, x) + choose(of_b, has - x) - choose(all, has)).exp();
    let own = likely(a) * (1.0 + 1e-9);
    let sum: f64 = (has.saturating_sub(of_b)..=has.min(of_a))
        .map(likely)
        .filter(|other| *other <= own)
        .sum();
    sum.min(1.0)
}

fn g_statistic((a, of_a): (u64, u64), (b, of_b): (u64, u64)) -> f64 {
    let [a, of_a, b, of_b] = [a, of_a, b, of_b].map(float);
    let (all, has) = (of_a + of_b, a + b);
    let cell = |seen: f64, row: f64, column: f64| {
        if seen <= 0.0 {
            0.0
        } else {
            seen * (seen * all / (row * column)).ln()
        }
    };
    2.0 * (cell(a, has, of_a)
        + cell(b, has, of_b)
        + cell(of_a - a, all - has, of_a)
        + cell(of_b - b, all - has, of_b))
}

/// The upper tail of the chi-squared distribution with one degree of freedom: erfc(sqrt(x / 2)), by Abramowitz and Stegun
/// 7.1.26 (within 1.5e-7), and far out by the first term of its asymptotic series, which is above it.
fn chi_squared(statistic: f64) -> f64 {
    let x = (statistic.max(0.0) / 2.0).sqrt();
    if x > 3.0 {
        return (-x * x).exp() / (x * PI.sqrt());
    }
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let sum = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let polynomial = sum.into_iter().fold(0.0, |sum, factor| (sum + factor) * t);
    polynomial * (-x * x).exp()
}

/// Beyond so many together Fisher's test and the G-test say the same.
const MOST_EXACT: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!(
            (found / expected - 1.0).abs() < 0.02,
            "{found} is not {expected}"
        );
    }

    #[test]
    fn shares_exactly() {
        // 1 / C(11, 5), 1 / C(14, 6)
        near(of_shares((5, 5), (0, 6)), 1.0 / 462.0);
        near(of_shares((6, 6), (0, 8)), 1.0 / 3_003.0);
        near(of_shares((3, 10), (30, 100)), 1.0);
        near(of_shares((1, 0), (1, 9)), 1.0);
        // Both tails: 2 / C(20, 10)
        near(of_shares((10, 10), (0, 10)), 2.0 / 184_756.0);
        // Of many, as of few.
        let (few, many) = (
            of_shares((600, 1_000), (500, 1_000)),
            of_shares((601, 1_001), (500, 1_000)),
        );
        assert!(many > few / 3.0 && many < few * 3.0, "{few} {many}");
    }

    #[test]
    fn counts_in_two_times() {
        near(of_absence(5, 60.0, 60.0), 1.0 / 32.0);
        near(of_absence(2, 60.0, 540.0), 0.01);
        near(of_rates((100, 10.0), (300, 30.0)), 1.0);
        assert!(of_rates((10, 10.0), (60, 10.0)) < 1e-6);
        // A long time before that had none says more.
        assert!(of_absence(3, 60.0, 3_600.0) < 1e-5);
    }

    #[test]
    fn the_normal_distribution() {
        near(of_normal(0.0), 1.0);
        near(of_normal(1.96), 0.05);
        near(of_normal(3.89), 1e-4);
        assert!((5.7e-7..6e-7).contains(&of_normal(5.0)));
        assert_eq!(
            (words(5e-7), words(0.005), words(0.5)),
            (Some("<1e-6"), Some("<0.01"), None)
        );
    }
}
