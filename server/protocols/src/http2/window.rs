//! Flow control (RFC 9113, 5.2 and 6.9), as far as it shows that a sender had to wait.
//!
//! Owns: one window, and when it was last opened. A window whose beginning was not seen is not known, and never stalls.

/// How much one side may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    left: Option<i64>,
    /// When it last changed from shut to open.
    pub(super) opened_ns: u64,
}

/// The size of windows until somebody says otherwise (RFC 9113, 6.9.2).
pub(super) const INITIAL: u32 = 65_535;

impl Window {
    pub(super) fn new(size: u32) -> Self {
        Self {
            left: Some(i64::from(size)),
            opened_ns: 0,
        }
    }

    pub(super) const UNKNOWN: Self = Self {
        left: None,
        opened_ns: 0,
    };

    /// DATA of so many bytes passed.
    pub(super) fn take(&mut self, bytes: u64) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// A WINDOW_UPDATE, or a change of SETTINGS_INITIAL_WINDOW_SIZE, which may be negative.
    pub(super) fn give(&mut self, bytes: i64, at_ns: u64) {
        let was_shut = self.is_shut();
        if let Some(left) = &mut self.left {
            *left = left.saturating_add(bytes);
        }
        if was_shut && !self.is_shut() {
            self.opened_ns = at_ns;
        }
    }

    /// Whether nothing may be sent.
    pub(super) fn is_shut(self) -> bool {
        self.left.is_some_and(|left| left <= 0)
    }
}
