//! Handshakes of TLS as conversations see them: in the order of turns, behind a CONNECT, and in the place of an answer.

use headwater_assembly::{End, Input, Passed, Place, Session, Turn, Way};
use headwater_model::{CloseReason, Connection, Outcome, Side, TlsFailure};

use crate::support::{
    FIN, GET, OWNER, RST, SYN, Subject, begin_file, end, file, live, packet, results, turn,
};

const NONE: Passed = Passed {
    bytes: 0,
    last_ns: 0,
    last_chunk: false,
};

/// A ClientHello that offers TLS 1.3 and 1.2, `h2` and a name that is no name, and asks for `Shop.example`.
fn hello() -> Vec<u8> {
    let extensions = [
        &[0, 0, 0, 17, 0, 15, 0, 0, 12][..],
        b"Shop.example",
        &[
            0, 16, 0, 12, 0, 10, 2, b'h', b'2', 6, b'<', b'\n', b'{', b'}', b'\t', b'>',
        ],
        &[0, 43, 0, 5, 4, 3, 4, 3, 3],
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0, 0, 2, 0x13, 1, 1, 0],
        &length(&extensions),
        &extensions,
    ]
    .concat();
    let message = [&[1, 0][..], &length(&body), &body].concat();
    [&[0x16, 3, 1][..], &length(&message), &message].concat()
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap().to_be_bytes()
}

/// The server's alert `handshake_failure`.
const ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];

fn client() -> End {
    end(1, "10.0.0.1:5000", "192.0.2.1:443", Way::Egress)
}

fn close(subject: &mut Subject, flags: headwater_assembly::TcpFlags, way: Way, at_ns: u64) {
    subject.take(&Input::Close(End {
        at_ns,
        flags,
        way,
        ..client()
    }));
}

fn only(subject: &mut Subject) -> Connection {
    let (mut connections, _) = results(subject);
    assert_eq!(connections.len(), 1);
    connections.remove(0)
}

#[test]
fn an_alert_is_the_failure_of_the_connection() {
    let mut subject = live();
    subject.take(&Input::Open(client()));
    let hello = hello();
    subject.take(&Input::Turn(turn(1, Way::Egress, 10, &hello)));
    subject.take(&Input::Turn(turn(1, Way::Ingress, 20, ALERT)));
    close(&mut subject, FIN, Way::Ingress, 30);
    close(&mut subject, FIN, Way::Egress, 40);
    let connection = only(&mut subject);
    assert_eq!(
        (connection.protocol, connection.close_reason),
        (Some("tls"), CloseReason::Fin)
    );
    // A server elsewhere goes by the name that it was asked for.
    assert_eq!(connection.server.service.name.as_str(), "shop.example");
    let tls = connection.tls.unwrap();
    assert_eq!(
        tls.failure,
        Some(TlsFailure::Alert {
            by: Side::Server,
            description: 40
        })
    );
    assert_eq!(tls.offered_versions, [0x0304, 0x0303]);
    assert_eq!(tls.server_name.unwrap().as_str(), "shop.example");
    let alpn: Vec<_> = tls
        .offered_alpn
        .iter()
        .map(headwater_redact::Text::as_str)
        .collect();
    assert_eq!(alpn[0], "h2");
    assert!(
        alpn[1].bytes().all(|byte| (0x20..0x7b).contains(&byte)),
        "{alpn:?}"
    );
    assert_eq!((tls.begun_ns, tls.alerts[0].at_ns), (10, 20));
}

#[test]
fn what_looks_like_a_token_is_not_readable() {
    let mut subject = live();
    subject.take(&Input::Open(client()));
    let token = b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";
    let mut hello = hello();
    let at = hello
        .windows(12)
        .position(|bytes| bytes == b"Shop.example")
        .unwrap();
    hello.splice(at..at + 12, token.iter().copied());
    // The lengths of the record, the message, the extensions, the extension, its list and the name.
    for (place, more) in [(3, 28), (7, 28), (50, 28), (54, 28), (56, 28), (59, 28)] {
        let length = u16::from_be_bytes([hello[place], hello[place + 1]]) + more;
        hello[place..place + 2].copy_from_slice(&length.to_be_bytes());
    }
    subject.take(&Input::Turn(turn(1, Way::Egress, 10, &hello)));
    subject.finish_all(50);
    let connection = only(&mut subject);
    let name = connection.tls.unwrap().server_name.unwrap();
    for name in [name.as_str(), connection.server.service.name.as_str()] {
        assert!(name.starts_with('{') && !name.contains("9f86"), "{name}");
    }
}

#[test]
fn what_ends_before_an_answer_has_failed() {
    for (flags, way) in [(RST, Way::Ingress), (RST, Way::Egress)] {
        let mut subject = live();
        subject.take(&Input::Open(client()));
        let hello = hello();
        subject.take(&Input::Turn(turn(1, Way::Egress, 10, &hello)));
        close(&mut subject, flags, way, 30);
        let tls = only(&mut subject).tls.unwrap();
        assert_eq!(tls.failure, Some(TlsFailure::NotAnswered));
    }
    // Nobody knows how it goes on.
    let mut subject = live();
    subject.take(&Input::Open(client()));
    let hello = hello();
    subject.take(&Input::Turn(turn(1, Way::Egress, 10, &hello)));
    subject.finish_all(50);
    assert_eq!(only(&mut subject).tls.unwrap().failure, None);
}

/// What by its length is an alert of the server's, behind a handshake of TLS 1.3 that the client has finished.
#[test]
fn whose_plaintext_is_read_was_not_refused() {
    let server_hello = [
        &[0x16, 3, 3, 0, 50, 2, 0, 0, 46, 3, 3][..],
        &[7; 32],
        &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4],
    ]
    .concat();
    let finished = [&[23, 3, 3, 0, 60][..], &[7; 60]].concat();
    let alert = [&[23, 3, 3, 0, 19][..], &[7; 19]].concat();
    for is_read in [false, true] {
        let mut subject = live();
        subject.take(&Input::Open(client()));
        subject.take(&Input::Turn(turn(1, Way::Egress, 10, &hello())));
        subject.take(&Input::Turn(turn(1, Way::Ingress, 20, &server_hello)));
        let mut next = turn(1, Way::Egress, 30, &finished);
        next.offset = hello().len() as u64;
        subject.take(&Input::Turn(next));
        if is_read {
            subject.take(&Input::Session(session()));
            subject.take(&Input::Plaintext(turn(9, Way::Egress, 35, GET)));
        }
        let mut next = turn(1, Way::Ingress, 40, &alert);
        next.offset = server_hello.len() as u64;
        subject.take(&Input::Turn(next));
        close(&mut subject, FIN, Way::Ingress, 50);
        close(&mut subject, FIN, Way::Egress, 60);
        subject.finish_all(70);
        let (connections, _) = results(&mut subject);
        let tls = connections[0].tls.as_ref().unwrap();
        assert_eq!(tls.done_ns, Some(30));
        let refused = TlsFailure::EncryptedAlert { by: Side::Server };
        assert_eq!(tls.failure, (!is_read).then_some(refused));
    }
}

/// The session of the client's library.
fn session() -> Session {
    Session {
        at_ns: 32,
        id: 9,
        address: 0x7009,
        cookie: Some(1),
        is_new: true,
        is_sure: true,
        owner: OWNER,
        written: NONE,
        read: NONE,
    }
}

#[test]
fn a_server_that_speaks_tls_answers_a_request_in_clear() {
    let mut subject = live();
    subject.take(&Input::Syn(End {
        flags: SYN,
        ..client()
    }));
    subject.take(&Input::Turn(turn(1, Way::Egress, 10, GET)));
    subject.take(&Input::Turn(turn(1, Way::Ingress, 20, ALERT)));
    close(&mut subject, RST, Way::Ingress, 30);
    let (connections, exchanges) = results(&mut subject);
    let tls = connections[0].tls.as_ref().unwrap();
    assert_eq!(tls.failure, Some(TlsFailure::ClientSpokeNoTls));
    assert_eq!(connections[0].protocol, Some("http"));
    assert_ne!(exchanges[0].outcome, Outcome::Complete);
}

/// A record without its packet's bytes, so many of them: what was not copied, or was lost.
fn missing(length: u32) -> Turn<'static> {
    Turn {
        payload_length: length,
        ..turn(1, Way::Egress, 10, &[])
    }
}

#[test]
fn what_was_not_seen_of_a_client_may_have_been_tls() {
    let hello = hello();
    // A ClientHello that was not seen at all, was not copied, or comes in segments that are too short to tell.
    for seen in [None, Some(0), Some(1), Some(6)] {
        let mut subject = live();
        subject.take(&Input::Syn(End {
            flags: SYN,
            ..client()
        }));
        match seen {
            None => {}
            Some(0) => subject.take(&Input::Turn(missing(u32::try_from(hello.len()).unwrap()))),
            Some(first) => {
                let (first, rest) = hello.split_at(first);
                subject.take(&Input::Turn(turn(1, Way::Egress, 10, first)));
                subject.take(&Input::Turn(Turn {
                    offset: first.len() as u64,
                    number: Some(1),
                    place: Place::SameTurn,
                    ..turn(1, Way::Egress, 11, rest)
                }));
            }
        }
        subject.take(&Input::Turn(turn(1, Way::Ingress, 20, ALERT)));
        close(&mut subject, RST, Way::Ingress, 30);
        let connection = only(&mut subject);
        let tls = connection.tls.unwrap();
        assert_eq!(tls.alerts[0].said, Some((2, 40)), "{seen:?}");
        let failure = TlsFailure::Alert {
            by: Side::Server,
            description: 40,
        };
        assert_eq!(tls.failure, seen.is_some().then_some(failure), "{seen:?}");
        let is_whole = matches!(seen, Some(1 | 6));
        assert_eq!(tls.server_name.is_some(), is_whole, "{seen:?}");
        assert_eq!(tls.begun_ns, if is_whole { 10 } else { 20 }, "{seen:?}");
    }
}

#[test]
fn a_tunnel_is_looked_into() {
    let mut subject = file();
    begin_file(&mut subject);
    let asked = b"CONNECT 192.0.2.1:443 HTTP/1.1\r\n\r\n";
    let answered = b"HTTP/1.1 200 OK\r\n\r\n";
    let hello = hello();
    for (cookie, at_ns, offset, bytes) in [
        (1, 10, 0, &asked[..]),
        (2, 20, 0, answered),
        (1, 30, asked.len(), &hello),
        (2, 40, answered.len(), ALERT),
    ] {
        subject.take(&Input::Turn(packet(cookie, at_ns, offset, bytes)));
    }
    subject.finish_all(50);
    let (connections, exchanges) = results(&mut subject);
    let tls = connections[0].tls.as_ref().unwrap();
    assert_eq!(tls.begun_ns, 30);
    assert!(matches!(tls.failure, Some(TlsFailure::Alert { .. })));
    assert_eq!(exchanges.len(), 1);
    assert_eq!(tls.server_name.as_ref().unwrap().as_str(), "shop.example");
    // That is not the proxy's name.
    let name = &connections[0].server.service.name;
    assert_ne!(name.as_str(), "shop.example");
}

#[test]
fn a_body_that_looks_like_a_hello_is_none() {
    let mut subject = file();
    begin_file(&mut subject);
    let head = b"POST /upload HTTP/1.1\r\nHost: h.example\r\nContent-Length: 90\r\n\r\n";
    let hello = hello();
    subject.take(&Input::Turn(packet(1, 10, 0, head)));
    subject.take(&Input::Turn(Turn {
        bytes: &hello[..90],
        payload_length: 90,
        ..packet(1, 20, head.len(), &hello)
    }));
    subject.finish_all(50);
    let (connections, _) = results(&mut subject);
    assert_eq!(connections[0].tls, None);
}
