//! Which SETTINGS_HEADER_TABLE_SIZE one direction's sender has acknowledged (RFC 9113, 6.5.3).
//!
//! Owns: the values that wait for it. A size holds from the acknowledgement on, not from when it was sent: blocks in
//! between still use the table as it was. Acknowledgements are not numbered, so one that was missed, or comes from
//! nowhere, makes all later ones uncertain: from there on the size is not known, which is always right.

use std::collections::VecDeque;

/// SETTINGS frames of the peer that wait for their acknowledgement.
#[derive(Debug)]
pub(super) struct TableSizes {
    /// The size in each of them, if one is.
    waiting: VecDeque<Option<u32>>,
    lost: bool,
}

impl TableSizes {
    pub(super) fn new(lost: bool) -> Self {
        Self {
            waiting: VecDeque::new(),
            lost,
        }
    }

    /// SETTINGS passed. `false` when it cannot be followed.
    #[must_use]
    pub(super) fn set(&mut self, size: Option<u32>) -> bool {
        if !self.lost && self.waiting.len() < MOST {
            self.waiting.push_back(size);
        } else {
            self.lose();
        }
        !self.lost
    }

    /// An acknowledgement passed. The size that holds from here on, if there is a new one; `u32::MAX` when it is not
    /// known any more.
    pub(super) fn acknowledged(&mut self) -> Option<u32> {
        if self.lost {
            return None;
        }
        self.waiting.pop_front().unwrap_or_else(|| {
            self.lose();
            Some(u32::MAX)
        })
    }

    pub(super) fn lose(&mut self) {
        self.waiting = VecDeque::new();
        self.lost = true;
    }
}

/// A peer that acknowledges none of so many is not followed.
const MOST: usize = 32;
