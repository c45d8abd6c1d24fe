//! Plaintext of TLS libraries: which connection it is told of, in which order, and when it is over.

use headwater_assembly::{End, Input, Limits, Owner, Passed, Session, Turn, Way};
use headwater_model::{Connection, Exchange, Outcome};

use crate::support::{FIN, GET, OK, RST, SYN, Subject, end, live, results, socket, subject, turn};

const SECOND: u64 = 1_000_000_000;
/// A record of application data.
const RECORD: &[u8] = b"\x17\x03\x03\x00\x10................";

fn passed(bytes: u64, last_ns: u64) -> Passed {
    Passed {
        bytes,
        last_ns,
        last_chunk: false,
    }
}

fn session(id: u64, cookie: Option<u64>, at_ns: u64) -> Session {
    Session {
        at_ns,
        id,
        address: 0x7000 + id,
        cookie,
        is_new: true,
        is_sure: true,
        owner: Owner {
            at_ns,
            cookie: cookie.unwrap_or(0),
            pid: 7,
            start_boot_ns: 1,
            cgroup_id: 0,
            comm: [0; 16],
            ancestors: [0; 7],
            certain: true,
        },
        written: passed(0, 0),
        read: passed(0, 0),
    }
}

/// A client's socket, 1, has connected.
fn connected(subject: &mut Subject) {
    let client = end(1, "10.0.0.1:5000", "192.0.2.1:443", Way::Egress);
    subject.take(&Input::Syn(End {
        flags: SYN,
        ..client
    }));
    subject.take(&Input::Open(client));
}

fn said(id: u64, way: Way, at_ns: u64, bytes: &[u8]) -> Input<'_> {
    Input::Plaintext(turn(id, way, at_ns, bytes))
}

/// The one exchange there is, as it was told last.
fn only(mut exchanges: Vec<Exchange>) -> Exchange {
    let exchange = exchanges.pop().unwrap();
    assert!(exchanges.iter().all(|other| other.key == exchange.key));
    assert_eq!(exchange.outcome, Outcome::Complete);
    assert_eq!(exchange.response.as_ref().unwrap().status_code, Some(200));
    exchange
}

#[test]
fn what_is_said_waits_for_its_socket() {
    let mut subject = live();
    connected(&mut subject);
    subject.take(&Input::Session(session(9, None, 2_000)));
    subject.take(&said(9, Way::Egress, 2_000, GET));
    assert!(results(&mut subject).1.is_empty());
    subject.take(&Input::Session(session(9, Some(1), 2_100)));
    subject.take(&Input::Turn(turn(1, Way::Egress, 2_100, RECORD)));
    subject.take(&said(9, Way::Ingress, 3_000, OK));
    let (connections, exchanges) = results(&mut subject);
    only(exchanges);
    assert_eq!(connections[0].client.port, 5000);
    assert_eq!(connections[0].protocol, Some("http"));
}

/// The record that binds a session comes before that of the packet, by which the connection is met.
#[test]
fn a_connection_that_is_older_than_the_recorder() {
    let mut subject = live();
    subject.take(&said(9, Way::Egress, 2_000, GET));
    subject.take(&Input::Open(end(
        1,
        "10.0.0.1:5000",
        "192.0.2.1:443",
        Way::Egress,
    )));
    subject.take(&Input::Session(Session {
        is_new: false,
        ..session(9, Some(1), 2_100)
    }));
    subject.take(&Input::Turn(turn(1, Way::Egress, 2_100, RECORD)));
    subject.take(&said(9, Way::Ingress, 3_000, OK));
    let (connections, exchanges) = results(&mut subject);
    only(exchanges);
    assert_eq!(connections[0].client.port, 5000);
    assert_eq!(subject.tally().plaintext_unfollowed, 0);
}

/// Two sockets of clients, 1 and 2, have connected.
fn two_connected(subject: &mut Subject) {
    connected(subject);
    let client = end(2, "10.0.0.1:6000", "192.0.2.1:443", Way::Egress);
    subject.take(&Input::Syn(End {
        flags: SYN,
        ..client
    }));
    subject.take(&Input::Open(client));
}

/// A thread sent what another had made of a handshake.
fn unsure(id: u64, cookie: u64, at_ns: u64) -> Input<'static> {
    Input::Session(Session {
        is_sure: false,
        ..session(id, Some(cookie), at_ns)
    })
}

/// The connection that has the exchange.
fn connection_of_exchange(subject: &mut Subject) -> Connection {
    let (connections, exchanges) = results(subject);
    let exchange = only(exchanges);
    let mut connections = connections.into_iter();
    let of = |connection: &Connection| connection.key == exchange.connection;
    connections.find(of).unwrap()
}

/// Its own port, whichever end is taken for the client.
fn port_of_exchange(subject: &mut Subject) -> u16 {
    let connection = connection_of_exchange(subject);
    match connection.client.port {
        443 => connection.server.port,
        port => port,
    }
}

#[test]
fn what_is_written_is_sent_by_the_socket_that_is_sure() {
    let mut subject = live();
    two_connected(&mut subject);
    subject.take(&unsure(9, 2, 2_000));
    subject.take(&said(9, Way::Egress, 2_100, GET));
    subject.take(&Input::Session(Session {
        is_new: false,
        ..session(9, Some(1), 2_200)
    }));
    // Nothing is surer.
    subject.take(&Input::Session(session(9, Some(2), 2_300)));
    subject.take(&said(9, Way::Ingress, 3_000, OK));
    assert_eq!(port_of_exchange(&mut subject), 5000);
}

#[test]
fn what_is_only_read_waits_a_little_for_a_surer_socket() {
    let mut subject = live();
    two_connected(&mut subject);
    subject.take(&unsure(9, 2, 2_000));
    subject.take(&said(9, Way::Ingress, 2_100, GET));
    subject.tick(SECOND / 4, |_| None);
    assert!(results(&mut subject).1.is_empty());
    subject.tick(SECOND / 2, |_| None);
    subject.take(&said(9, Way::Egress, SECOND / 2, OK));
    assert_eq!(port_of_exchange(&mut subject), 6000);
}

#[test]
fn a_socket_that_is_another_sessions_for_sure_is_not_believed() {
    let mut subject = live();
    two_connected(&mut subject);
    subject.take(&unsure(9, 2, 2_000));
    subject.take(&said(9, Way::Ingress, 2_100, GET));
    subject.take(&Input::Session(session(10, Some(2), 2_200)));
    subject.tick(SECOND / 2, |_| None);
    subject.take(&said(9, Way::Egress, SECOND / 2, OK));
    let connection = connection_of_exchange(&mut subject);
    assert!(connection.client.address.is_unspecified());
    assert_eq!(subject.tally().sessions_unbound, 1);
}

#[test]
fn what_was_read_of_a_socket_that_is_not_sure_outlives_it() {
    let mut subject = live();
    two_connected(&mut subject);
    subject.take(&unsure(9, 2, 2_000));
    subject.take(&said(9, Way::Ingress, 2_100, GET));
    subject.take(&said(9, Way::Egress, 2_200, OK));
    subject.take(&Input::Close(End {
        flags: RST,
        at_ns: 3_000,
        ..end(2, "10.0.0.1:6000", "192.0.2.1:443", Way::Egress)
    }));
    subject.take(&Input::Socket(socket(2, 3_100, 104)));
    subject.tick(2 * SECOND, |_| None);
    subject.tick(4 * SECOND, |_| None);
    only(results(&mut subject).1);
}

#[test]
fn a_session_whose_socket_does_not_become_known_has_its_exchanges() {
    let mut subject = live();
    subject.take(&Input::Session(session(9, None, 2_000)));
    subject.take(&said(9, Way::Egress, 2_000, GET));
    subject.tick(SECOND / 2, |_| None);
    assert!(results(&mut subject).0.is_empty());
    subject.tick(2 * SECOND, |_| None);
    subject.take(&said(9, Way::Ingress, 2 * SECOND, OK));
    let (connections, exchanges) = results(&mut subject);
    only(exchanges);
    assert!(connections[0].client.address.is_unspecified());
    assert_eq!(subject.tally().sessions_unbound, 1);
}

/// Each end of a connection within the machine tells all that is said: it is told once.
/// Both sockets of a connection within this machine, 1 and 2, with the sessions 11 and 12.
fn both_connected(subject: &mut Subject) {
    let client = End {
        loopback: true,
        ..end(1, "127.0.0.1:5000", "127.0.0.1:443", Way::Egress)
    };
    let server = End {
        loopback: true,
        ..end(2, "127.0.0.1:443", "127.0.0.1:5000", Way::Egress)
    };
    subject.take(&Input::Syn(End {
        flags: SYN,
        ..client
    }));
    for (cookie, end) in [(1, client), (2, server)] {
        subject.take(&Input::Open(end));
        subject.take(&Input::Session(session(10 + cookie, Some(cookie), 1_500)));
        subject.take(&Input::Turn(turn(cookie, Way::Egress, 1_500, RECORD)));
    }
}

#[test]
fn both_ends_are_read() {
    let mut subject = live();
    both_connected(&mut subject);
    let mine = |input: Turn<'static>, thread_id| {
        Input::Plaintext(Turn {
            thread_id,
            owned: Some(true),
            ..input
        })
    };
    subject.take(&mine(turn(11, Way::Egress, 2_000, GET), 71));
    subject.take(&mine(turn(12, Way::Ingress, 2_100, GET), 72));
    subject.take(&mine(turn(12, Way::Egress, 2_200, OK), 72));
    subject.take(&mine(turn(11, Way::Ingress, 2_300, OK), 71));
    let exchange = only(results(&mut subject).1);
    // The threads that sent, not those that received.
    let threads = (
        exchange.request.unwrap().message.thread_id,
        exchange.response.unwrap().message.thread_id,
    );
    assert_eq!(threads, (Some(71), Some(72)));
}

/// The server has read all of a body that the client's session is not known to have written when the server closes. A session of
/// another one's, such as one within it, counts other bytes.
#[test]
fn who_closes_first_knows_what_the_other_wrote() {
    const PUT: &[u8] = b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n";
    let whole = PUT.len() as u64 + 1_000;
    for (restarted, body) in [(false, 1_000), (true, 0)] {
        let mut subject = live();
        both_connected(&mut subject);
        if restarted {
            subject.take(&said(11, Way::Egress, 1_700, GET));
            subject.take(&said(12, Way::Egress, 1_800, OK));
            subject.take(&Input::Session(session(13, Some(1), 1_900)));
        }
        let writer = if restarted { 13 } else { 11 };
        subject.take(&said(writer, Way::Egress, 2_000, PUT));
        subject.take(&said(12, Way::Egress, 3_000, OK));
        subject.take(&Input::SessionEnd(Session {
            read: passed(whole, 2_900),
            written: passed(OK.len() as u64, 3_000),
            ..session(12, Some(2), 3_100)
        }));
        let server = end(2, "127.0.0.1:443", "127.0.0.1:5000", Way::Egress);
        subject.take(&Input::Close(End {
            flags: FIN,
            at_ns: 3_200,
            ..server
        }));
        let exchanges = results(&mut subject).1;
        let put = exchanges.iter().rev().find(|exchange| {
            let request = exchange.request.as_ref();
            request.is_some_and(|request| request.method.as_str() == "PUT")
        });
        let request = put
            .and_then(|put| put.request.as_ref())
            .unwrap_or_else(|| panic!("{restarted}: {exchanges:#?}"));
        assert_eq!(
            request.message.body_bytes, body,
            "{restarted}: {exchanges:#?}"
        );
    }
}

/// A response in chunks, of which the beginning was copied; its client has it, and resets the connection since nothing else is wanted.
#[test]
fn the_last_word_tells_that_a_body_is_whole() {
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n";
    for (last_chunk, outcome) in [(true, Outcome::Complete), (false, Outcome::ClientGaveUp)] {
        let mut subject = subject(Limits {
            linger_ns: SECOND,
            ..Limits::default()
        });
        both_connected(&mut subject);
        subject.take(&said(12, Way::Ingress, 2_000, GET));
        subject.take(&said(12, Way::Egress, 2_100, CHUNKED));
        let client = end(1, "127.0.0.1:5000", "127.0.0.1:443", Way::Egress);
        subject.take(&Input::Close(End {
            flags: RST,
            at_ns: 3_000,
            ..client
        }));
        subject.take(&Input::SessionEnd(Session {
            read: passed(GET.len() as u64, 2_000),
            written: Passed {
                bytes: CHUNKED.len() as u64 + 0x4000 + 7,
                last_ns: 2_200,
                last_chunk,
            },
            ..session(12, Some(2), 3_100)
        }));
        let exchanges = results(&mut subject).1;
        let outcomes: Vec<_> = exchanges.iter().map(|exchange| exchange.outcome).collect();
        assert_eq!(outcomes, [outcome]);
    }
}

/// The client reads what has come after its connection is over.
#[test]
fn the_end_of_a_connection_is_not_that_of_its_plaintext() {
    let mut subject = subject(Limits {
        linger_ns: SECOND,
        ..Limits::default()
    });
    connected(&mut subject);
    subject.take(&Input::Session(session(9, Some(1), 1_500)));
    subject.take(&Input::Turn(turn(1, Way::Egress, 1_500, RECORD)));
    subject.take(&said(9, Way::Egress, 2_000, GET));
    let client = end(1, "10.0.0.1:5000", "192.0.2.1:443", Way::Egress);
    for way in [Way::Ingress, Way::Egress] {
        subject.take(&Input::Close(End {
            at_ns: 3_000,
            way,
            flags: FIN,
            ..client
        }));
    }
    subject.take(&said(9, Way::Ingress, 4_000, OK));
    subject.take(&Input::Socket(socket(1, 5_000, 0)));
    subject.take(&Input::SessionEnd(Session {
        written: passed(GET.len() as u64, 2_000),
        read: passed(OK.len() as u64, 4_000),
        ..session(9, Some(1), 6_000)
    }));
    let (connections, exchanges) = results(&mut subject);
    only(exchanges);
    assert_eq!(connections[0].end_ns, Some(3_000));
}
