//! The columns of what passed after the heads: over a WebSocket, in an event stream.

use headwater_model::{EventStream, Side, WebSocket, WebSocketEnding, WebSocketTally};
use headwater_pack::numbers;

/// `exchange_N.websocket`.
pub(crate) fn websocket(websocket: &WebSocket, start_ns: u64) -> String {
    let after = |at_ns: Option<u64>| at_ns.map(|at_ns| at_ns.saturating_sub(start_ns));
    let first = [
        Some(flags(websocket)),
        websocket.close_code.map(u64::from),
        after(websocket.first_message_ns),
        after(websocket.last_message_ns),
    ];
    let counts = [websocket.client, websocket.server]
        .into_iter()
        .flat_map(counts)
        .map(Some);
    numbers::join(first.into_iter().chain(counts))
}

/// `exchange_N.event_stream`.
pub(crate) fn event_stream(events: &EventStream, start_ns: u64) -> String {
    let after = |at_ns: Option<u64>| at_ns.map(|at_ns| at_ns.saturating_sub(start_ns));
    numbers::join([
        Some(u64::from(events.is_exact)),
        events.events,
        Some(events.comments),
        after(events.first_event_ns),
        after(events.last_event_ns),
    ])
}

fn flags(websocket: &WebSocket) -> u64 {
    let closed_by = match websocket.closed_by {
        None => 0,
        Some(Side::Client) => 8,
        Some(Side::Server) => 16,
    };
    let ending = match websocket.ending {
        WebSocketEnding::Open => 0,
        WebSocketEnding::Closing => 1,
        WebSocketEnding::Clean => 2,
        WebSocketEnding::Unanswered => 3,
        WebSocketEnding::Abnormal => 4,
        WebSocketEnding::NotSeen => 5,
    };
    u64::from(websocket.compression)
        + 2 * u64::from(websocket.client.is_exact)
        + 4 * u64::from(websocket.server.is_exact)
        + closed_by
        + 32 * ending
}

fn counts(tally: WebSocketTally) -> [u64; 10] {
    [
        tally.text,
        tally.binary,
        tally.fragmented,
        tally.compressed,
        tally.continuation_frames,
        tally.ping,
        tally.pong,
        tally.close,
        tally.payload_bytes,
        tally.malformed,
    ]
}
