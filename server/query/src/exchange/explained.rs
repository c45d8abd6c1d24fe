//! What an outcome means for one exchange: fixed words with numbers, never captured text.

use super::WebSocketDetail;
use super::record::Timing;

/// The sentence. `close_reason` only chooses between words.
pub(super) fn outcome(
    outcome: i64,
    timing: Timing,
    close_reason: &str,
    websocket: Option<&WebSocketDetail>,
) -> String {
    if let Some(websocket) = websocket {
        return conversation(outcome, timing, close_reason, websocket);
    }
    match outcome {
        0 => format!(
            "request and response were both seen to their end, {} from the first byte to the last",
            span(timing.response_end.unwrap_or(timing.end))
        ),
        1 => format!("it had not ended when last looked at: {}", progress(timing)),
        2 => {
            let verb = if close_reason == "client_reset" {
                "reset"
            } else {
                "closed"
            };
            format!("the client {verb} the connection {}", ended(timing))
        }
        3 => format!("the server reset the connection {}", ended(timing)),
        4 => format!("the server closed the connection {}", ended(timing)),
        5 => format!(
            "TCP gave up on the connection (no acknowledgement came) {}",
            ended(timing)
        ),
        6 => format!(
            "the end of the response was not seen, for reasons of the recording and not of the exchange (see gaps): {}",
            progress(timing)
        ),
        7 => format!(
            "bytes that are not HTTP stood where a message was due, {} after the start",
            span(timing.end)
        ),
        8 => "the response was seen and its request was not".to_owned(),
        _ => "this program does not know this outcome; update it".to_owned(),
    }
}

/// The same for the WebSocket that an exchange opened.
fn conversation(
    outcome: i64,
    timing: Timing,
    close_reason: &str,
    websocket: &WebSocketDetail,
) -> String {
    let open = timing.response_end.or(timing.response_start).unwrap_or(0);
    let lasted = span(timing.end.saturating_sub(open));
    let closed = websocket.closed_by.map(|side| {
        let code = websocket
            .close_code
            .as_deref()
            .map_or_else(String::new, |code| format!(" with {code}"));
        format!("the {side} closed the WebSocket{code}")
    });
    let who = match (outcome, close_reason) {
        (2, "client_reset") => "the client reset the connection",
        (2, _) => "the client closed the connection",
        (3, _) => "the server reset the connection",
        (4, _) => "the server closed the connection",
        (5, _) => "TCP gave up on the connection",
        _ => "the connection ended",
    };
    match (outcome, websocket.ending, closed) {
        (1, _, None) => format!("the WebSocket was open for {lasted} when last looked at"),
        (_, "clean", Some(closed)) => {
            format!("{closed}, and the other side answered, {lasted} after the handshake")
        }
        (_, _, Some(closed)) => {
            format!("{closed}, and no answer was seen, {lasted} after the handshake")
        }
        (_, "abnormal", None) => {
            format!("{who} without a close frame (1006), {lasted} after the handshake")
        }
        (6, ..) => format!(
            "the end of the WebSocket was not seen, for reasons of the recording: it was open for {lasted} by then"
        ),
        _ => {
            format!("{who} {lasted} after the handshake; whether a close frame passed was not seen")
        }
    }
}

/// When the connection ended, by what had happened before.
fn ended(timing: Timing) -> String {
    match (timing.request_end, timing.response_start) {
        (_, Some(first)) => format!(
            "{} after the first response byte, before the response was whole",
            span(timing.end.saturating_sub(first))
        ),
        (Some(sent), None) => format!(
            "{} after the request was sent, before any response byte",
            span(timing.end.saturating_sub(sent))
        ),
        (None, None) => format!(
            "{} after the first request byte, before the request was whole",
            span(timing.end)
        ),
    }
}

fn progress(timing: Timing) -> String {
    match (timing.request_end, timing.response_start) {
        (_, Some(first)) => format!(
            "the response began {} after the first request byte",
            span(first)
        ),
        (Some(sent), None) => format!(
            "the request was sent in {}, and no response byte was seen",
            span(sent)
        ),
        (None, None) => "the request's end was not seen".to_owned(),
    }
}

/// A duration with about four digits, in the unit that suits it.
pub(crate) fn span(ns: u64) -> String {
    let (whole, rest, unit) = match ns {
        0..1_000_000 => (ns / 1_000, ns % 1_000, "µs"),
        1_000_000..1_000_000_000 => (ns / 1_000_000, ns / 1_000 % 1_000, "ms"),
        _ => (ns / 1_000_000_000, ns / 1_000_000 % 1_000, "s"),
    };
    match whole {
        0..100 => format!("{whole}.{rest:03} {unit}"),
        _ => format!("{whole}.{} {unit}", rest / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let timing = Timing {
            start_ns: 5,
            request_end: Some(1_000_000),
            end: 1_205_000_000,
            ..Timing::default()
        };
        assert_eq!(
            outcome(2, timing, "fin", None),
            "the client closed the connection 1.204 s after the request was sent, before any response byte"
        );
        assert!(
            outcome(2, timing, "client_reset", None).starts_with("the client reset the connection")
        );
        let began = Timing {
            response_start: Some(1_000_000_000),
            ..timing
        };
        assert_eq!(
            outcome(3, began, "server_reset", None),
            "the server reset the connection 205.0 ms after the first response byte, before the response was whole"
        );
        for number in -1..10 {
            assert!(!outcome(number, timing, "", None).is_empty());
        }
        assert_eq!(span(1_500), "1.500 µs");
        assert_eq!(span(0), "0.000 µs");
        assert_eq!(span(123_456_789_000), "123.4 s");
    }
}
