//! The column of what HTTP/2 said of a connection as a whole.

use headwater_model::{Http2Connection, Http2End};
use headwater_pack::numbers;

/// `connection.http2`; `None` when nothing is known.
pub(crate) fn http2(connection: &Http2Connection, start_ns: u64) -> Option<String> {
    let text = numbers::join(
        end(&connection.client, start_ns)
            .into_iter()
            .chain(end(&connection.server, start_ns)),
    );
    (!text.is_empty()).then_some(text)
}

fn end(end: &Http2End, start_ns: u64) -> [Option<u64>; 15] {
    let settings = &end.settings;
    let goaway = end.goaway;
    [
        settings.header_table_size.map(Into::into),
        settings.enable_push.map(Into::into),
        settings.max_concurrent_streams.map(Into::into),
        settings.initial_window_size.map(Into::into),
        settings.max_frame_size.map(Into::into),
        settings.max_header_list_size.map(Into::into),
        count(end.settings_frames),
        count(end.pings),
        count(end.resets),
        count(end.push_promises),
        count(end.priority_updates),
        count(end.goaway_frames),
        goaway.map(|goaway| goaway.at_ns.saturating_sub(start_ns)),
        goaway.map(|goaway| goaway.code.into()),
        goaway.map(|goaway| goaway.last_stream_id.into()),
    ]
}

fn count(count: u32) -> Option<u64> {
    (count > 0).then(|| count.into())
}
