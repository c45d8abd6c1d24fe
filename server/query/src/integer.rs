//! SQLite's signed integers and our unsigned ones.
//!
//! What does not fit is clamped: a damaged row gives an odd number, never a panic.

/// From the store.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// To the store.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// For what is computed and told with few digits.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and times of which few digits matter"
)]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

/// From the store, where a smaller type is meant.
pub(crate) fn narrow<T: TryFrom<i64> + Default>(value: i64) -> T {
    T::try_from(value).unwrap_or_default()
}
