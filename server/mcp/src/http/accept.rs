//! The form of an answer: an event stream, or plain JSON for clients that ask for nothing else.
//!
//! Owns: which of the two a request wants. The protocol has clients accept both, and then a stream is what it gets, as sessions and
//! progress want it; a script that accepts JSON alone gets that, without a session.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    response::Response,
};
use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpService,
        session::{local::LocalSessionManager, never::NeverSessionManager},
    },
};

/// A service for each form.
pub(super) struct Forms<S> {
    pub(super) stream: StreamableHttpService<S, LocalSessionManager>,
    pub(super) json: StreamableHttpService<S, NeverSessionManager>,
}

/// Among a request's extensions: its client accepts no stream, and so nothing before the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonAlone;

/// Answers at the endpoint.
pub(super) async fn answer<S: ServerHandler>(
    State(forms): State<Arc<Forms<S>>>,
    mut request: Request,
) -> Response {
    if !wants_json(request.method(), request.headers()) {
        return forms.stream.handle(request).await.map(Body::new);
    }
    request.extensions_mut().insert(JsonAlone);
    // Below it, both have to be accepted in any case.
    request.headers_mut().insert(header::ACCEPT, BOTH);
    forms.json.handle(request).await.map(Body::new)
}

/// Whether a request is one that accepts JSON and no event stream.
pub(super) fn wants_json(method: &Method, headers: &HeaderMap) -> bool {
    // What belongs to a session is the session's.
    if method != Method::POST || headers.contains_key("mcp-session-id") {
        return false;
    }
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(acceptable)
        .collect();
    let has = |kind: &str| {
        accepted
            .iter()
            .any(|accepted| accepted.eq_ignore_ascii_case(kind))
    };
    // None at all accepts anything (RFC 9110, 12.5.1).
    let is_open = !headers.contains_key(header::ACCEPT) || has("*/*") || has("application/*");
    !has("text/event-stream") && (is_open || has("application/json"))
}

/// The media range of an element, unless its weight is zero.
fn acceptable(element: &str) -> Option<&str> {
    let mut parts = element.split(';').map(str::trim);
    let range = parts.next()?;
    let is_refused = parts
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .any(|(_, weight)| {
            weight
                .trim()
                .parse::<f32>()
                .is_ok_and(|weight| weight <= 0.0)
        });
    (!is_refused).then_some(range)
}

const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_that_accept_no_stream() {
        for (accept, expected) in [
            (None, true),
            (Some("*/*"), true),
            (Some("application/json"), true),
            (Some("text/html, application/*;q=0.8"), true),
            (Some("application/json, text/event-stream;q=0"), true),
            (Some("application/json, text/event-stream"), false),
            (Some("text/event-stream;q=0.1, */*"), false),
            (Some("text/html"), false),
            (Some("application/json;q=0.0"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept))));
            assert_eq!(wants_json(&Method::POST, &headers), expected, "{accept:?}");
            assert!(!wants_json(&Method::GET, &headers));
            headers.insert("mcp-session-id", HeaderValue::from_static("x"));
            assert!(!wants_json(&Method::POST, &headers));
        }
    }
}
