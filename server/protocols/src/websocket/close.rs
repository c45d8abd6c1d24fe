//! The close frame's payload (RFC 6455, 5.5.1 and 7.4).
//!
//! Owns: the status and its names, and the payload between two pieces. Refuses: to keep the reason: it is text from a
//! stranger.

use super::header::{Header, MAX_CONTROL_BYTES};

/// A close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// The status: [`CloseCode::NO_STATUS_RECEIVED`] when the frame holds none, `None` when it was not seen.
    pub code: Option<CloseCode>,
    /// The reason as it was sent, unmasked, at most 123 bytes; cut where bytes were not seen.
    pub reason: &'a [u8],
    /// Bytes of the reason, seen or not.
    pub reason_bytes: u64,
}

/// Why a connection was closed: the numbers of IANA's "WebSocket Close Code Number Registry".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// There was a close frame without status; never sent.
    pub const NO_STATUS_RECEIVED: Self = Self(1005);
    /// There was no close frame; never sent.
    pub const ABNORMAL_CLOSURE: Self = Self(1006);

    /// Its registered name, in small letters with underscores; `None` for numbers without one, which applications use
    /// as they like (4000 to 4999).
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1000 => "normal_closure",
            1001 => "going_away",
            1002 => "protocol_error",
            1003 => "unsupported_data",
            1005 => "no_status_received",
            1006 => "abnormal_closure",
            1007 => "invalid_payload_data",
            1008 => "policy_violation",
            1009 => "message_too_big",
            1010 => "mandatory_extension",
            1011 => "internal_error",
            1012 => "service_restart",
            1013 => "try_again_later",
            1014 => "bad_gateway",
            1015 => "tls_handshake",
            3000 => "unauthorized",
            3003 => "forbidden",
            3008 => "timeout",
            _ => return None,
        })
    }

    /// Whether an endpoint may send it (RFC 6455, 7.4).
    pub fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// What came so far of the payload of a close frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload {
    bytes: [u8; MAX_CONTROL_BYTES],
    held: usize,
    /// Some were not seen; those behind them are left out.
    cut: bool,
}

impl Payload {
    pub(super) const EMPTY: Self = Self {
        bytes: [0; MAX_CONTROL_BYTES],
        held: 0,
        cut: false,
    };

    pub(super) fn push(&mut self, bytes: &[u8], key: [u8; 4]) {
        if self.cut {
            return;
        }
        let free = self
            .bytes
            .iter_mut()
            .zip(key.iter().cycle())
            .skip(self.held);
        let mut pushed = 0;
        for ((place, key), byte) in free.zip(bytes) {
            *place = byte ^ key;
            pushed += 1;
        }
        self.held += pushed;
    }

    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    /// What they say, at the end of a frame of `length`.
    pub(super) fn read(&self, length: u64) -> Close<'_> {
        let seen = self.bytes.get(..self.held).unwrap_or_default();
        let (code, reason) = match seen.split_first_chunk() {
            Some((code, reason)) => (Some(CloseCode(u16::from_be_bytes(*code))), reason),
            None if length < 2 => (
                Some(CloseCode::NO_STATUS_RECEIVED),
                seen.get(..0).unwrap_or_default(),
            ),
            None => (None, seen.get(..0).unwrap_or_default()),
        };
        Close {
            code,
            reason,
            reason_bytes: length.saturating_sub(2),
        }
    }
}

/// Whether `payload` is all that `header`, a close frame's, announces, and says what an endpoint would say.
pub(super) fn is_plausible(header: Header, payload: &[u8]) -> bool {
    if payload.len() as u64 != header.length {
        return false;
    }
    let mut unmasked = Payload::EMPTY;
    unmasked.push(payload, header.key);
    let close = unmasked.read(header.length);
    payload.is_empty()
        || (close.code.is_some_and(CloseCode::is_sendable)
            && std::str::from_utf8(close.reason).is_ok())
}
