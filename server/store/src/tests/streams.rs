//! What passed over a WebSocket or in an event stream: its column, and which ends are failures.

use headwater_model::{
    CloseReason, Event, EventStream, Outcome, Side, WebSocket, WebSocketEnding, WebSocketTally,
};

use super::fixture::{Fixture, START};

#[test]
fn numbers_in_one_column() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply(&fixture.process(100)).unwrap();
    writer
        .apply(&fixture.connection(1, CloseReason::Open))
        .unwrap();
    let mut exchange = fixture.exchange(1, "/chat", Some(101));
    let start_ns = exchange.start_ns();
    exchange.websocket = Some(Box::new(WebSocket {
        compression: true,
        client: WebSocketTally {
            text: 3,
            payload_bytes: 40,
            is_exact: true,
            ..WebSocketTally::default()
        },
        ending: WebSocketEnding::Unanswered,
        close_code: Some(1000),
        closed_by: Some(Side::Client),
        first_message_ns: Some(start_ns + 5),
        ..WebSocket::default()
    }));
    exchange.event_stream = Some(Box::new(EventStream {
        events: Some(2),
        first_event_ns: Some(start_ns + 7),
        ..EventStream::default()
    }));
    writer.apply(&Event::Exchange(Box::new(exchange))).unwrap();
    writer.commit(START).unwrap();
    let counted = |sql: &str| {
        writer.number(&format!(
            "SELECT COUNT(*) FROM exchange_rows(1) WHERE {sql}"
        ))
    };
    // 1 compression, 2 the client's counts are exact, 8 it closed first, 3 * 32 unanswered.
    assert_eq!(
        counted("websocket = '107,1000,5,,3,0,0,0,0,0,0,0,40,0,0,0,0,0,0,0,0,0,0,0'"),
        1
    );
    assert_eq!(counted("event_stream = '0,2,0,7'"), 1);
}

#[test]
fn which_close_codes_are_failures() {
    for (code, fails) in [
        (1000, false),
        (1001, false),
        (1002, true),
        (1005, false),
        (1006, true),
        (1011, true),
        (1015, true),
        (3000, true),
        (3500, false),
        (4000, false),
    ] {
        let mut fixture = Fixture::new();
        let mut exchange = fixture.exchange(1, "/chat", Some(101));
        exchange.websocket = Some(Box::new(WebSocket {
            close_code: Some(code),
            ..WebSocket::default()
        }));
        let kind = if fails { 4000 + code } else { 0 };
        assert_eq!(crate::codes::kind(&exchange), kind, "{code}");
        // While it closes it has not ended.
        exchange.outcome = Outcome::Open;
        assert_eq!(crate::codes::kind(&exchange), crate::codes::OPEN);
    }
}
