//! The facts that not every exchange has: those of HTTP/2, gRPC, WebSocket and event streams.

use headwater_query::{ExchangeDetail, WebSocketCounts, WebSocketDetail};

use super::FACTS;
use crate::{Output, escape::value, tools::milliseconds};

/// What HTTP/2, gRPC, WebSocket and event streams know of it.
pub(super) fn tell(output: &mut Output, exchange: &ExchangeDetail) {
    if let Some(http2) = &exchange.http2 {
        output.tell(FACTS, "http2.stream_id", http2.stream_id);
        output.tell(FACTS, "http2.error", http2.error.as_deref());
        output.tell(FACTS, "http2.error_by", http2.error_by);
        if http2.stalls > 0 {
            output.tell(FACTS, "http2.stalls", http2.stalls);
            let stalled = milliseconds(Some(http2.stalled_ns));
            output.tell(FACTS, "http2.stalled_ms", stalled);
        }
        if http2.is_pushed {
            output.tell(FACTS, "http2.pushed", true);
        }
    }
    if let Some(grpc) = &exchange.grpc {
        output.tell(FACTS, "rpc.service", grpc.service.as_deref().map(value));
        output.tell(FACTS, "rpc.method", grpc.method.as_deref().map(value));
        output.tell(FACTS, "rpc.grpc_status_code", grpc.status_code);
        output.tell(FACTS, "rpc.grpc_status", grpc.status.as_deref());
        output.tell(
            FACTS,
            "rpc.grpc_message",
            grpc.message.as_deref().map(value),
        );
        output.tell(FACTS, "rpc.timeout_ms", milliseconds(grpc.timeout_ns));
        let [requests, responses] = grpc.messages;
        let [exact_requests, exact_responses] = grpc.is_exact;
        output.tell(
            FACTS,
            "rpc.request_messages",
            count(requests, exact_requests),
        );
        output.tell(
            FACTS,
            "rpc.response_messages",
            count(responses, exact_responses),
        );
        output.tell(FACTS, "rpc.kind_seen", grpc.kind_seen);
    }
    if let Some(websocket) = &exchange.websocket {
        tell_websocket(output, websocket);
    }
    if let Some(events) = &exchange.event_stream {
        let counted = events.events.map(|seen| count(seen, events.is_exact));
        output.tell(
            FACTS,
            "sse.events",
            counted.unwrap_or_else(|| "not seen".to_owned()),
        );
        if events.comments > 0 {
            output.tell(FACTS, "sse.comments", events.comments);
        }
        let first = milliseconds(events.first_event_ns);
        output.tell(FACTS, "sse.first_event_ms", first);
        let last = milliseconds(events.last_event_ns.filter(|_| events.is_exact));
        output.tell(FACTS, "sse.last_event_ms", last);
    }
}

fn count(messages: u64, is_exact: bool) -> String {
    if is_exact {
        messages.to_string()
    } else {
        format!("at least {messages}")
    }
}

/// Times are after the first byte of the request, as those of the exchange are.
fn tell_websocket(output: &mut Output, websocket: &WebSocketDetail) {
    output.tell(FACTS, "websocket.ending", websocket.ending);
    let code = websocket.close_code.as_deref();
    output.tell(FACTS, "websocket.close_code", code);
    output.tell(FACTS, "websocket.closed_by", websocket.closed_by);
    output.tell(FACTS, "websocket.compression", websocket.compression);
    output.tell(FACTS, "websocket.client_sent", sent(websocket.client));
    output.tell(FACTS, "websocket.server_sent", sent(websocket.server));
    let first = milliseconds(websocket.first_message_ns);
    output.tell(FACTS, "websocket.first_message_ms", first);
    let last = milliseconds(websocket.last_message_ns);
    output.tell(FACTS, "websocket.last_message_ms", last);
}

/// What one side sent; what is always there first, what is rare only where there is some.
fn sent(counts: WebSocketCounts) -> String {
    let mut said = format!(
        "{}{} text, {} binary",
        if counts.is_exact { "" } else { "at least " },
        counts.text,
        counts.binary
    );
    for (count, what) in [
        (counts.fragmented, "of them fragmented"),
        (counts.compressed, "of them compressed"),
        (counts.continuation_frames, "continuation frames"),
        (counts.ping, "ping"),
        (counts.pong, "pong"),
        (counts.close, "close"),
        (counts.malformed, "malformed"),
    ] {
        if count > 0 {
            said = format!("{said}, {count} {what}");
        }
    }
    format!("{said}, {} payload bytes", counts.payload_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_in_words() {
        let none = WebSocketCounts::default();
        assert_eq!(sent(none), "at least 0 text, 0 binary, 0 payload bytes");
        let some = WebSocketCounts {
            text: 3,
            binary: 1,
            fragmented: 1,
            continuation_frames: 2,
            close: 1,
            payload_bytes: 77,
            is_exact: true,
            ..none
        };
        assert_eq!(
            sent(some),
            "3 text, 1 binary, 1 of them fragmented, 2 continuation frames, 1 close, 77 payload bytes"
        );
    }
}
