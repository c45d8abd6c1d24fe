//! Header elements find their end of a connection, and what has ended waits for the last word on it.

use headwater_assembly::{End, Input, Limits, SocketEnd, TcpFlags, Way};
use headwater_model::{CloseReason, Handshake, IpHeader, SocketStats};

use crate::support::{FIN, GET, OK, RST, SYN, Subject, end, results, socket, subject, turn};

const SECOND: u64 = 1_000_000_000;
const SYN_ACK: TcpFlags = TcpFlags {
    syn: true,
    ack: true,
    fin: false,
    rst: false,
};

fn waiting() -> Subject {
    subject(Limits {
        linger_ns: SECOND,
        ..Limits::default()
    })
}

fn client() -> End {
    end(1, "10.0.0.1:5000", "192.0.2.1:80", Way::Egress)
}

/// A handshake packet with a maximum segment size and a hop limit.
fn handshake(end: End, flags: TcpFlags, at_ns: u64, mss: u16, hop_limit: u8) -> End {
    End {
        at_ns,
        flags,
        handshake: Some(Handshake {
            at_ns,
            mss: Some(mss),
            ..Handshake::default()
        }),
        ip: Some(IpHeader {
            hop_limit,
            is_received: end.way == Way::Ingress,
            ..IpHeader::default()
        }),
        ..end
    }
}

fn established(subject: &mut Subject) {
    subject.take(&Input::Syn(handshake(client(), SYN, 10, 1460, 64)));
    let answer = End {
        way: Way::Ingress,
        ..client()
    };
    subject.take(&Input::Syn(handshake(answer, SYN_ACK, 30, 1400, 53)));
    subject.take(&Input::Turn(turn(1, Way::Egress, 40, GET)));
}

fn closed(at_ns: u64, error: u32, state: u8) -> SocketEnd {
    let plain = socket(1, at_ns, error);
    SocketEnd {
        stats: SocketStats {
            state,
            srtt_us: Some(20),
            ..plain.stats
        },
        ..plain
    }
}

#[test]
fn both_handshake_packets_are_told_of_their_senders() {
    let mut subject = waiting();
    subject.take(&Input::Syn(handshake(client(), SYN, 5, 1460, 64)));
    established(&mut subject);
    subject.finish_all(100);
    let (connections, _) = results(&mut subject);
    let [one] = &connections[..] else {
        panic!("{connections:?}");
    };
    let asked = one.client_tcp.handshake.unwrap();
    assert_eq!((asked.at_ns, asked.mss), (5, Some(1460)));
    assert_eq!(one.client_tcp.syn_retries, 1);
    assert_eq!(one.client_tcp.first_payload_ns, Some(40));
    let answered = one.server_tcp.handshake.unwrap();
    assert_eq!((answered.at_ns, answered.mss), (30, Some(1400)));
    let ip = one.server_tcp.ip.unwrap();
    assert_eq!((ip.hop_limit, ip.is_received), (53, true));
}

#[test]
fn a_listener_s_handshake_is_found_by_addresses() {
    let mut subject = waiting();
    let listener = End {
        way: Way::Ingress,
        ..end(7, "10.0.0.2:80", "192.0.2.9:5000", Way::Ingress)
    };
    subject.take(&Input::Syn(handshake(listener, SYN, 10, 1460, 50)));
    subject.take(&Input::Syn(handshake(listener, SYN, 20, 1460, 50)));
    let answer = End {
        way: Way::Egress,
        ..listener
    };
    subject.take(&Input::Syn(handshake(answer, SYN_ACK, 21, 1400, 64)));
    subject.take(&Input::Open(End {
        cookie: 8,
        ..listener
    }));
    subject.take(&Input::Turn(turn(8, Way::Ingress, 40, GET)));
    subject.finish_all(100);
    let (connections, _) = results(&mut subject);
    let [one] = &connections[..] else {
        panic!("{connections:?}");
    };
    assert!(!one.joined_midstream && one.server.local);
    assert_eq!(one.client_tcp.handshake.unwrap().mss, Some(1460));
    assert_eq!(one.client_tcp.syn_retries, 1);
    assert_eq!(one.server_tcp.handshake.unwrap().at_ns, 21);
}

#[test]
fn a_reset_waits_for_what_the_kernel_says() {
    let mut subject = waiting();
    established(&mut subject);
    subject.take(&Input::Close(End {
        at_ns: 50,
        flags: RST,
        way: Way::Ingress,
        ..client()
    }));
    let (connections, exchanges) = results(&mut subject);
    assert_eq!(exchanges.len(), 1, "what it ended is told at once");
    assert!(connections.iter().all(|one| one.end_ns.is_none()));
    // What comes late belongs to nothing.
    subject.take(&Input::Turn(turn(1, Way::Ingress, 55, OK)));
    subject.take(&Input::Socket(closed(60, 104, 1)));
    let (connections, exchanges) = results(&mut subject);
    assert!(exchanges.is_empty());
    let [one] = &connections[..] else {
        panic!("{connections:?}");
    };
    assert_eq!(one.close_reason, CloseReason::ServerReset);
    assert_eq!((one.end_ns, one.server_tcp.rst_ns), (Some(50), Some(50)));
    assert_eq!(one.server_tcp.counts().resets, Some(1));
    let stats = one.client_tcp.socket.as_ref().unwrap();
    assert_eq!((stats.state, stats.srtt_us), (1, Some(20)));
    subject.finish_all(100);
    assert!(results(&mut subject).0.is_empty(), "it is told once");
}

#[test]
fn a_last_word_that_never_comes_is_waited_for_a_while() {
    let mut subject = waiting();
    established(&mut subject);
    for way in [Way::Egress, Way::Ingress] {
        subject.take(&Input::Close(End {
            at_ns: 50,
            flags: FIN,
            way,
            ..client()
        }));
    }
    subject.tick(SECOND, |_| None);
    let ended = |subject: &mut Subject| {
        let (connections, _) = results(subject);
        connections.iter().any(|one| one.end_ns.is_some())
    };
    assert!(!ended(&mut subject));
    subject.tick(SECOND + 51, |_| None);
    assert!(ended(&mut subject));
}

#[test]
fn the_same_addresses_again_wait_for_nothing() {
    let mut subject = waiting();
    established(&mut subject);
    subject.take(&Input::Close(End {
        at_ns: 50,
        flags: RST,
        ..client()
    }));
    subject.take(&Input::Syn(End {
        at_ns: 60,
        cookie: 2,
        flags: SYN,
        ..client()
    }));
    subject.finish_all(100);
    let (connections, _) = results(&mut subject);
    let reasons: Vec<_> = connections.iter().map(|one| one.close_reason).collect();
    assert_eq!(reasons, [CloseReason::ClientReset, CloseReason::Open]);
}

#[test]
fn a_client_that_leaves_before_the_answer_gave_up() {
    let mut subject = waiting();
    subject.take(&Input::Syn(handshake(client(), SYN, 10, 1460, 64)));
    subject.take(&Input::Socket(closed(500, 0, 2)));
    let (connections, _) = results(&mut subject);
    assert_eq!(connections[0].close_reason, CloseReason::GaveUp);
}

#[test]
fn a_connection_whose_sockets_are_gone_ends() {
    let mut subject = waiting();
    established(&mut subject);
    subject.take(&Input::Close(End {
        at_ns: 50,
        flags: FIN,
        ..client()
    }));
    subject.take(&Input::Socket(closed(60, 0, 5)));
    subject.tick(SECOND, |_| None);
    subject.tick(SECOND + 61, |_| None);
    let (connections, _) = results(&mut subject);
    let last = connections.last().unwrap();
    assert_eq!(
        (last.close_reason, last.end_ns),
        (CloseReason::Fin, Some(60))
    );
}
