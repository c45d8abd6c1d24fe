//! The WebSocket behind a handshake: held open, counted, and told when the connection ends.

use headwater_assembly::{End, Input, Place, Turn, Way};
use headwater_model::{Exchange, Outcome, Side, WebSocket, WebSocketEnding};

use crate::support::{FIN, RST, Subject, begin_file, end, file, live, packet, results, turn};

const ASK: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: h.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const AGREE: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
/// "Hello" of a client, of a server, and a close frame of each with 1001 (RFC 6455, 5.7).
const MASKED: &[u8] = &[
    0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
];
const PLAIN: &[u8] = &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
const MASKED_CLOSE: &[u8] = &[0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe9 ^ 2];
const PLAIN_CLOSE: &[u8] = &[0x88, 0x02, 0x03, 0xe9];

/// A captured connection after its handshake, and where each side is.
struct Captured {
    subject: Subject,
    at: [usize; 2],
    now: u64,
}

impl Captured {
    fn new(behind: &[u8]) -> Self {
        let mut subject = file();
        begin_file(&mut subject);
        let mut captured = Self {
            subject,
            at: [0, 0],
            now: 1_000,
        };
        captured.sent(1, ASK);
        captured.sent(2, &[AGREE, behind].concat());
        captured
    }

    fn sent(&mut self, cookie: u64, bytes: &[u8]) {
        self.now += 10;
        let at = &mut self.at[usize::from(cookie == 2)];
        let turn = packet(cookie, self.now, *at, bytes);
        *at += bytes.len();
        self.subject.take(&Input::Turn(turn));
    }

    fn ends(&mut self, cookie: u64, flags: headwater_assembly::TcpFlags) {
        self.now += 10;
        let (local, remote) = match cookie {
            1 => ("10.0.0.1:5000", "10.0.0.2:80"),
            _ => ("10.0.0.2:80", "10.0.0.1:5000"),
        };
        self.subject.take(&Input::Close(End {
            at_ns: self.now,
            flags,
            ..end(cookie, local, remote, Way::Egress)
        }));
    }

    fn exchange(mut self) -> (Exchange, WebSocket) {
        let (connections, mut exchanges) = results(&mut self.subject);
        assert_eq!(connections[0].protocol, Some("websocket"));
        assert_eq!(exchanges.len(), 1, "{exchanges:?}");
        let mut exchange = exchanges.remove(0);
        let websocket = *exchange.websocket.take().unwrap();
        (exchange, websocket)
    }
}

#[test]
fn a_conversation_is_told_at_its_end() {
    let mut captured = Captured::new(PLAIN);
    captured.sent(1, MASKED);
    captured.sent(1, &[0x89, 0x80, 1, 2, 3, 4]);
    captured.sent(2, &[0x8a, 0x00]);
    let none = results(&mut captured.subject).1;
    assert_eq!(none, [], "it is not over");
    captured.sent(2, PLAIN_CLOSE);
    captured.sent(1, MASKED_CLOSE);
    captured.ends(2, FIN);
    captured.ends(1, FIN);
    let (exchange, told) = captured.exchange();
    assert_eq!(exchange.outcome, Outcome::Complete);
    assert_eq!(exchange.end_ns, 1_090);
    let response = exchange.response.unwrap().message;
    assert_eq!(response.last_byte_ns, Some(1_020), "the handshake's end");
    assert_eq!(told.ending, WebSocketEnding::Clean);
    assert_eq!(
        (told.close_code, told.closed_by),
        (Some(1001), Some(Side::Server))
    );
    assert_eq!(
        (told.first_message_ns, told.last_message_ns),
        (Some(1_020), Some(1_030))
    );
    let counts = |side: headwater_model::WebSocketTally| {
        let exact = side.is_exact;
        (side.text, side.ping, side.pong, side.close, exact)
    };
    assert_eq!(counts(told.client), (1, 1, 0, 1, true));
    assert_eq!(counts(told.server), (1, 0, 1, 1, true));
    assert_eq!(
        (told.client.payload_bytes, told.server.payload_bytes),
        (7, 7)
    );
}

#[test]
fn what_ends_one_without_a_close_frame() {
    for (cookie, flags, outcome) in [
        (1, RST, Outcome::ClientGaveUp),
        (2, RST, Outcome::ServerReset),
        (1, FIN, Outcome::ClientGaveUp),
        (2, FIN, Outcome::ServerClosed),
    ] {
        let mut captured = Captured::new(b"");
        captured.sent(1, MASKED);
        captured.ends(cookie, flags);
        if flags == FIN {
            captured.ends(3 - cookie, FIN);
        }
        let (exchange, told) = captured.exchange();
        assert_eq!(exchange.outcome, outcome, "{cookie} {flags:?}");
        assert_eq!(told.ending, WebSocketEnding::Abnormal);
        assert_eq!((told.close_code, told.closed_by), (Some(1006), None));
    }
}

#[test]
fn a_close_frame_without_answer_is_no_abnormal_end() {
    let mut captured = Captured::new(b"");
    captured.sent(2, PLAIN_CLOSE);
    captured.ends(2, FIN);
    captured.ends(1, RST);
    let (exchange, told) = captured.exchange();
    assert_eq!(exchange.outcome, Outcome::Complete);
    assert_eq!(told.ending, WebSocketEnding::Unanswered);
}

#[test]
fn where_a_close_frame_may_be_missing_nothing_is_said_of_it() {
    let mut captured = Captured::new(b"");
    captured.sent(1, MASKED);
    captured.at[0] += 500;
    captured.sent(1, MASKED);
    captured.subject.acknowledged(1, (ASK.len() + 600) as u64);
    captured.ends(1, FIN);
    captured.ends(2, FIN);
    let (exchange, told) = captured.exchange();
    assert_eq!(exchange.outcome, Outcome::Truncated);
    assert_eq!(told.ending, WebSocketEnding::NotSeen);
    assert_eq!(told.close_code, None);
    assert!(!told.client.is_exact && told.server.is_exact, "{told:?}");
}

/// A live connection of a local client after its handshake: the client's frames come as the probes cut them.
fn frame(number: u32, offset: u64, length: u32, bytes: &[u8]) -> Turn<'_> {
    Turn {
        offset,
        payload_length: length,
        number: Some(number),
        place: Place::WebSocketFrame,
        ..turn(1, Way::Egress, 50 + u64::from(number), bytes)
    }
}

fn client() -> End {
    end(1, "10.0.0.1:5000", "192.0.2.1:80", Way::Egress)
}

#[test]
fn frames_of_the_probes_are_headers_alone() {
    let mut subject = live();
    subject.take(&Input::Open(client()));
    subject.take(&Input::Turn(turn(1, Way::Egress, 10, ASK)));
    subject.take(&Input::Turn(turn(1, Way::Ingress, 20, AGREE)));
    let begin = ASK.len() as u64;
    // A text of 300 bytes in two packets, of which the second is not told; then a close frame's header and code.
    subject.take(&Input::Turn(frame(
        1,
        begin,
        108,
        &[0x81, 0xfe, 0x01, 0x2c, 9, 9, 9, 9],
    )));
    subject.take(&Input::Turn(frame(2, begin + 308, 8, MASKED_CLOSE)));
    subject.take(&Input::Close(End {
        flags: RST,
        way: Way::Egress,
        ..client()
    }));
    let (_, exchanges) = results(&mut subject);
    let told = exchanges[0].websocket.as_ref().unwrap();
    assert_eq!((told.client.text, told.client.close), (1, 1));
    assert!(told.client.is_exact);
    assert_eq!(told.client.payload_bytes, 300 + 2);
    assert_eq!(told.close_code, Some(1001));
}

#[test]
fn what_only_looks_like_frames_is_a_body() {
    let mut subject = live();
    subject.take(&Input::Open(client()));
    let head = b"PUT /a HTTP/1.1\r\nContent-Length: 300\r\n\r\n";
    subject.take(&Input::Turn(turn(1, Way::Egress, 10, head)));
    let behind = head.len() as u64;
    subject.take(&Input::Turn(frame(
        1,
        behind,
        300,
        &[0x81, 0xfe, 0x01, 0x24, 9, 9, 9, 9],
    )));
    subject.take(&Input::Turn(turn(
        1,
        Way::Ingress,
        20,
        b"HTTP/1.1 204 No Content\r\n\r\n",
    )));
    let (_, exchanges) = results(&mut subject);
    assert_eq!(exchanges[0].outcome, Outcome::Complete);
    let request = exchanges[0].request.as_ref().unwrap();
    assert_eq!(request.message.body_bytes, 300);
    assert!(exchanges[0].websocket.is_none());
}

#[test]
fn an_open_one_is_given_again_when_it_has_news() {
    const SECOND: u64 = 1_000_000_000;
    let mut captured = Captured::new(b"");
    let told = |captured: &mut Captured, now_ns: u64| {
        captured.subject.tick(now_ns, |_| None);
        let exchanges = results(&mut captured.subject).1;
        exchanges
            .iter()
            .map(|exchange| {
                assert_eq!(exchange.outcome, Outcome::Open);
                exchange.websocket.as_ref().map(|told| told.client.text)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&mut captured, SECOND), [Some(0)]);
    captured.sent(1, MASKED);
    assert_eq!(told(&mut captured, 2 * SECOND), []);
    assert_eq!(told(&mut captured, 8 * SECOND), [Some(1)]);
    assert_eq!(told(&mut captured, 20 * SECOND), []);
}
