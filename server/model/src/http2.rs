//! What HTTP/2 says of a connection as a whole (RFC 9113). Of single exchanges see `Http2`.

/// What both ends of a connection announced and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Http2Connection {
    /// Of the client.
    pub client: Http2End,
    /// Of the server.
    pub server: Http2End,
}

/// What one end announced and did, as far as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Http2End {
    /// Its last value of each setting.
    pub settings: Http2Settings,
    /// SETTINGS frames that were no acknowledgement.
    pub settings_frames: u32,
    /// PING frames that were no acknowledgement.
    pub pings: u32,
    /// RST_STREAM frames.
    pub resets: u32,
    /// PUSH_PROMISE frames.
    pub push_promises: u32,
    /// PRIORITY_UPDATE frames (RFC 9218, section 7.1).
    pub priority_updates: u32,
    /// GOAWAY frames.
    pub goaway_frames: u32,
    /// Its last GOAWAY.
    pub goaway: Option<GoAway>,
}

/// Values of SETTINGS (RFC 9113, section 6.5.2); `None` where no frame that was seen has set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Http2Settings {
    /// SETTINGS_HEADER_TABLE_SIZE, bytes.
    pub header_table_size: Option<u32>,
    /// SETTINGS_ENABLE_PUSH.
    pub enable_push: Option<u32>,
    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    pub max_concurrent_streams: Option<u32>,
    /// SETTINGS_INITIAL_WINDOW_SIZE, bytes.
    pub initial_window_size: Option<u32>,
    /// SETTINGS_MAX_FRAME_SIZE, bytes.
    pub max_frame_size: Option<u32>,
    /// SETTINGS_MAX_HEADER_LIST_SIZE, bytes.
    pub max_header_list_size: Option<u32>,
}

/// A GOAWAY frame (RFC 9113, section 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoAway {
    /// When.
    pub at_ns: u64,
    /// The code (section 7).
    pub code: u32,
    /// The last stream that its sender has processed or may.
    pub last_stream_id: u32,
}

impl Http2Connection {
    /// Moves every time in it to a later one.
    pub(crate) fn move_later(&mut self, later: impl Fn(&mut u64)) {
        for end in [&mut self.client, &mut self.server] {
            end.goaway
                .iter_mut()
                .for_each(|goaway| later(&mut goaway.at_ns));
        }
    }
}
