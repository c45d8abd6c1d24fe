//! The header of a frame (RFC 9113, 4.1), and the names of what stands in frames.
//!
//! ```text
//! +-----------------------------------------------+
//! |                 Length (24)                   |
//! +---------------+---------------+---------------+
//! |   Type (8)    |   Flags (8)   |
//! +-+-------------+---------------+-------------------------------+
//! |R|                 Stream Identifier (31)                      |
//! +=+=============================================================+
//! ```

/// Bytes of a frame's header.
pub(super) const HEADER_BYTES: usize = 9;
/// What a client sends first (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113, 6, and extensions).
pub(super) mod kind {
    pub(in crate::http2) const DATA: u8 = 0;
    pub(in crate::http2) const HEADERS: u8 = 1;
    pub(in crate::http2) const PRIORITY: u8 = 2;
    pub(in crate::http2) const RST_STREAM: u8 = 3;
    pub(in crate::http2) const SETTINGS: u8 = 4;
    pub(in crate::http2) const PUSH_PROMISE: u8 = 5;
    pub(in crate::http2) const PING: u8 = 6;
    pub(in crate::http2) const GOAWAY: u8 = 7;
    pub(in crate::http2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::http2) const CONTINUATION: u8 = 9;
    /// RFC 7838, 4
    pub(in crate::http2) const ALTSVC: u8 = 10;
    /// RFC 8336, 2
    pub(in crate::http2) const ORIGIN: u8 = 12;
    /// RFC 9218, 7.1
    pub(in crate::http2) const PRIORITY_UPDATE: u8 = 16;
}

/// Flags of frames.
pub(super) mod flag {
    /// DATA, HEADERS
    pub(in crate::http2) const END_STREAM: u8 = 1;
    /// SETTINGS, PING
    pub(in crate::http2) const ACK: u8 = 1;
    /// HEADERS, PUSH_PROMISE, CONTINUATION
    pub(in crate::http2) const END_HEADERS: u8 = 4;
    /// DATA, HEADERS, PUSH_PROMISE
    pub(in crate::http2) const PADDED: u8 = 8;
    /// HEADERS
    pub(in crate::http2) const PRIORITY: u8 = 0x20;
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl FrameHeader {
    pub(super) fn read(bytes: [u8; HEADER_BYTES]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            // The reserved bit is ignored when received.
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        }
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether length and stream are as the frame's type wants them (RFC 9113, 6).
    pub(super) fn is_legal(self) -> bool {
        let on_stream = self.stream != 0;
        match self.kind {
            kind::DATA | kind::HEADERS | kind::CONTINUATION => on_stream,
            kind::PRIORITY => on_stream && self.length == 5,
            kind::RST_STREAM => on_stream && self.length == 4,
            kind::SETTINGS => !on_stream && self.length.is_multiple_of(6),
            kind::PUSH_PROMISE => on_stream && self.length >= 4,
            kind::PING => !on_stream && self.length == 8,
            kind::GOAWAY => !on_stream && self.length >= 8,
            kind::WINDOW_UPDATE => self.length == 4,
            kind::PRIORITY_UPDATE => !on_stream && self.length >= 4,
            // Extensions are anything, and ignored (RFC 9113, 4.1).
            _ => true,
        }
    }

    /// Whether it holds some of a header block.
    pub(super) fn holds_fields(self) -> bool {
        matches!(
            self.kind,
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION
        )
    }

    /// Whether its payload is looked at when it is whole.
    pub(super) fn is_read(self) -> bool {
        self.holds_fields()
            || matches!(
                self.kind,
                kind::RST_STREAM | kind::SETTINGS | kind::GOAWAY | kind::WINDOW_UPDATE
            )
    }

    /// Whether it can be believed behind another one where it was guessed that frames begin: of a known type, and without
    /// flags that its type does not have.
    pub(super) fn may_follow(self) -> bool {
        let flags = match self.kind {
            kind::DATA => flag::END_STREAM | flag::PADDED,
            kind::HEADERS => flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY,
            kind::SETTINGS | kind::PING => flag::ACK,
            kind::PUSH_PROMISE => flag::END_HEADERS | flag::PADDED,
            kind::CONTINUATION => flag::END_HEADERS,
            kind::PRIORITY
            | kind::RST_STREAM
            | kind::GOAWAY
            | kind::WINDOW_UPDATE
            | kind::ALTSVC
            | kind::ORIGIN
            | kind::PRIORITY_UPDATE => 0,
            _ => return false,
        };
        self.is_legal() && self.flags & !flags == 0 && self.stream < 1 << 24
    }

    /// Whether it can be believed where nothing says that a frame begins: of no more than the length that is allowed
    /// without asking (RFC 9113, 4.2), too.
    fn is_likely(self) -> bool {
        self.may_follow() && self.length <= 16_384
    }
}

/// Whether a stream joined in the middle may begin with these bytes: a frame that fills them, or is followed by another.
pub fn may_begin(bytes: &[u8]) -> bool {
    let read = |at: usize| {
        let header = bytes.get(at..)?.first_chunk::<HEADER_BYTES>()?;
        Some(FrameHeader::read(*header))
    };
    let Some(first) = read(0).filter(|first| first.is_likely()) else {
        return false;
    };
    let next = HEADER_BYTES.saturating_add(usize::try_from(first.length).unwrap_or(usize::MAX));
    if next == bytes.len() {
        first.kind != kind::DATA
    } else {
        read(next).is_some_and(FrameHeader::is_likely)
    }
}

/// Whether a stream that begins with these bytes, few as they may be, begins with the client's preface.
pub(super) fn begins_preface(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().zip(PREFACE).all(|(byte, due)| byte == due)
}

/// The name of an error code (RFC 9113, 7), `None` for one that is not registered.
pub fn error_name(code: u32) -> Option<&'static str> {
    let name = match code {
        0 => "NO_ERROR",
        1 => "PROTOCOL_ERROR",
        2 => "INTERNAL_ERROR",
        3 => "FLOW_CONTROL_ERROR",
        4 => "SETTINGS_TIMEOUT",
        5 => "STREAM_CLOSED",
        6 => "FRAME_SIZE_ERROR",
        7 => "REFUSED_STREAM",
        8 => "CANCEL",
        9 => "COMPRESSION_ERROR",
        10 => "CONNECT_ERROR",
        11 => "ENHANCE_YOUR_CALM",
        12 => "INADEQUATE_SECURITY",
        13 => "HTTP_1_1_REQUIRED",
        _ => return None,
    };
    Some(name)
}
