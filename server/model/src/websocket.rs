//! What passed over a WebSocket, told of the exchange that opened it.

use crate::Side;

/// The part of an exchange that is WebSocket's (RFC 6455).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebSocket {
    /// The handshake agreed on permessage-deflate (RFC 7692).
    pub compression: bool,
    /// What the client sent.
    pub client: WebSocketTally,
    /// What the server sent.
    pub server: WebSocketTally,
    /// How it was closed.
    pub ending: WebSocketEnding,
    /// The status of the first close frame, or 1006 where there was certainly none.
    pub close_code: Option<u16>,
    /// Who sent the first close frame that was seen.
    pub closed_by: Option<Side>,
    /// When the first message was whole.
    pub first_message_ns: Option<u64>,
    /// When the latest was.
    pub last_message_ns: Option<u64>,
}

/// What one side sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WebSocketTally {
    /// Text messages.
    pub text: u64,
    /// Binary messages.
    pub binary: u64,
    /// Messages of more than one frame, of those above.
    pub fragmented: u64,
    /// Compressed messages, of those above.
    pub compressed: u64,
    /// Continuation frames.
    pub continuation_frames: u64,
    /// Pings.
    pub ping: u64,
    /// Pongs.
    pub pong: u64,
    /// Close frames.
    pub close: u64,
    /// Bytes of payload of all frames.
    pub payload_bytes: u64,
    /// Elements that RFC 6455 does not allow.
    pub malformed: u64,
    /// All of it was seen; else these are least numbers.
    pub is_exact: bool,
}

/// How a WebSocket was closed (RFC 6455, 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WebSocketEnding {
    /// It was not.
    #[default]
    Open,
    /// One side has sent a close frame, and TCP goes on.
    Closing,
    /// Both sides have sent a close frame.
    Clean,
    /// TCP ended when only one side had sent a close frame.
    Unanswered,
    /// TCP ended without a close frame.
    Abnormal,
    /// A close frame may have passed unseen.
    NotSeen,
}
