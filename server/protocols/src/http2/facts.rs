//! What HTTP/2 knows beyond requests and responses: of a stream, and of a connection.

use crate::grpc::Messages;
use crate::passive::Direction;

/// What only HTTP/2 knows of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamFacts {
    /// Its stream (RFC 9113, 5.1.1).
    pub stream_id: u32,
    /// How it was ended, where it did not end by itself.
    pub error: Option<StreamError>,
    /// Messages of gRPC in the request; `None` when it is none.
    pub request_messages: Option<Messages>,
    /// Messages of gRPC in the response.
    pub response_messages: Option<Messages>,
    /// How often a sender had more to send and no window left.
    pub stalls: u32,
    /// For how long in all, nanoseconds: from the last byte that fitted to the update that let it go on.
    pub stalled_ns: u64,
    /// The server promised it (RFC 9113, 8.4): nobody asked.
    pub is_pushed: bool,
}

/// A stream's end by RST_STREAM or GOAWAY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamError {
    /// The code (RFC 9113, 7).
    pub code: u32,
    /// Who sent it: the sender of that direction.
    pub by: Direction,
    /// It came as GOAWAY: the stream was not processed, and the request may be sent again (RFC 9113, 6.8).
    pub by_goaway: bool,
}

/// What one end of a connection has announced and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// What it has set.
    pub settings: Settings,
    /// GOAWAY frames.
    pub goaway_frames: u32,
    /// Its last GOAWAY.
    pub goaway: Option<GoAway>,
    /// PING frames that were no acknowledgement.
    pub pings: u32,
    /// RST_STREAM frames.
    pub resets: u32,
    /// SETTINGS frames that were no acknowledgement.
    pub settings_frames: u32,
    /// PUSH_PROMISE frames.
    pub push_promises: u32,
    /// PRIORITY_UPDATE frames (RFC 9218, 7.1).
    pub priority_updates: u32,
    /// Header blocks that were not read, or not to their end: too long, cut, lost, malformed, or of no known sender. One
    /// stands for all that passed in a place where frames were lost sight of.
    pub blocks_lost: u32,
    /// Fields left out of heads that were over a limit.
    pub fields_left_out: u32,
    /// Streams that made room for others.
    pub streams_evicted: u32,
}

/// Values of SETTINGS (RFC 9113, 6.5.2); `None` until set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// SETTINGS_HEADER_TABLE_SIZE
    pub header_table_size: Option<u32>,
    /// SETTINGS_ENABLE_PUSH
    pub enable_push: Option<u32>,
    /// SETTINGS_MAX_CONCURRENT_STREAMS
    pub max_concurrent_streams: Option<u32>,
    /// SETTINGS_INITIAL_WINDOW_SIZE
    pub initial_window_size: Option<u32>,
    /// SETTINGS_MAX_FRAME_SIZE
    pub max_frame_size: Option<u32>,
    /// SETTINGS_MAX_HEADER_LIST_SIZE
    pub max_header_list_size: Option<u32>,
}

/// A GOAWAY frame (RFC 9113, 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoAway {
    /// When.
    pub at_ns: u64,
    /// The code.
    pub code: u32,
    /// The last stream that was or may be processed.
    pub last_stream_id: u32,
}
