//! How many bytes the heads of open exchanges take, all conversations together.
//!
//! Owns: the sum. A head carries its share with it, so that whatever becomes of it, the sum is right. Does not bound
//! anything.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The sum.
#[derive(Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    /// Bytes of all shares that are there.
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A share.
    pub(crate) fn share(&self, bytes: usize) -> Share {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Share {
            sum: Arc::clone(&self.0),
            bytes,
        }
    }
}

/// What one head takes.
#[derive(Debug)]
pub(crate) struct Share {
    sum: Arc<AtomicUsize>,
    bytes: usize,
}

impl Share {
    /// It takes more.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.sum.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }
}

impl Clone for Share {
    fn clone(&self) -> Self {
        self.sum.fetch_add(self.bytes, Ordering::Relaxed);
        Self {
            sum: Arc::clone(&self.sum),
            bytes: self.bytes,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_shares_that_are_there() {
        let gauge = Gauge::default();
        let mut first = gauge.share(10);
        let second = first.clone();
        first.grow(5);
        assert_eq!(gauge.bytes(), 25);
        drop(first);
        assert_eq!(gauge.bytes(), 10);
        drop(second);
        assert_eq!(gauge.bytes(), 0);
    }
}
