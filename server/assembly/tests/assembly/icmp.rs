//! Errors of ICMP find the connection whose packet they quote, and are believed when that packet can have been sent.

use std::net::SocketAddr;

use headwater_assembly::{End, IcmpMessage, Input, Quoted, QuotedSegment, SocketEnd, Turn, Way};
use headwater_model::{CloseReason, Connection, Handshake, Side, SocketStats};

use crate::support::{GET, SYN, Subject, end, file, live, results, socket, turn};

const CLIENT: &str = "10.0.0.1:5000";
const SERVER: &str = "192.0.2.1:80";
const INITIAL: u32 = u32::MAX - 3;

fn syn(at_ns: u64, seq: u32) -> End {
    End {
        at_ns,
        flags: SYN,
        handshake: Some(Handshake {
            at_ns,
            seq: Some(seq),
            ..Handshake::default()
        }),
        ..end(1, CLIENT, SERVER, Way::Egress)
    }
}

fn segment(seq: u32) -> QuotedSegment {
    QuotedSegment {
        source: CLIENT.parse().unwrap(),
        destination: SERVER.parse().unwrap(),
        seq,
    }
}

/// A router prohibits what the client sent.
fn prohibited(at_ns: u64, seq: u32) -> IcmpMessage {
    IcmpMessage {
        at_ns,
        netns: 1,
        from: "10.0.0.254".parse().unwrap(),
        kind: 3,
        code: 13,
        mtu: None,
        quoted: Quoted::Segment(segment(seq)),
    }
}

fn closed(error: u32) -> SocketEnd {
    let plain = socket(1, 900, error);
    SocketEnd {
        stats: SocketStats {
            state: 2,
            ..plain.stats
        },
        ..plain
    }
}

fn only(subject: &mut Subject) -> Connection {
    let (connections, _) = results(subject);
    let [one] = &connections[..] else {
        panic!("{connections:?}");
    };
    one.clone()
}

#[test]
fn the_first_the_last_and_their_number_are_kept() {
    let mut subject = live();
    subject.take(&Input::Syn(syn(10, INITIAL)));
    for at_ns in [20, 30, 40] {
        subject.take(&Input::Icmp(IcmpMessage {
            code: if at_ns == 40 { 1 } else { 13 },
            ..prohibited(at_ns, INITIAL)
        }));
    }
    subject.take(&Input::Socket(closed(113)));
    let one = only(&mut subject);
    assert_eq!(one.close_reason, CloseReason::Unreachable);
    let errors = one.icmp.unwrap();
    assert_eq!(errors.count, 3);
    assert_eq!((errors.first.at_ns, errors.first.code), (20, 13));
    assert_eq!((errors.last.at_ns, errors.last.code), (40, 1));
    assert_eq!(errors.first.about, Side::Client);
    assert_eq!(
        errors.first.from,
        "10.0.0.254".parse::<std::net::IpAddr>().unwrap()
    );
}

#[test]
fn what_a_socket_forgot_the_message_tells() {
    for (kind, code, from, expected) in [
        (3, 13, "10.0.0.254", CloseReason::Unreachable),
        (3, 3, "10.0.0.254", CloseReason::Refused),
        (11, 0, "10.0.0.254", CloseReason::Unreachable),
        (3, 4, "10.0.0.254", CloseReason::GaveUp),
        (4, 0, "10.0.0.254", CloseReason::GaveUp),
        (1, 1, "fd00::1", CloseReason::Unreachable),
        (1, 4, "fd00::1", CloseReason::Refused),
        (2, 0, "fd00::1", CloseReason::GaveUp),
    ] {
        let mut subject = live();
        subject.take(&Input::Syn(syn(10, 7)));
        subject.take(&Input::Icmp(IcmpMessage {
            kind,
            code,
            from: from.parse().unwrap(),
            ..prohibited(20, 7)
        }));
        subject.take(&Input::Socket(closed(0)));
        assert_eq!(
            only(&mut subject).close_reason,
            expected,
            "{from} {kind} {code}"
        );
    }
}

#[test]
fn every_errno_that_icmp_leaves_on_an_attempt_is_unreachable() {
    for errno in [13, 64, 71, 92, 101, 112, 113] {
        let mut subject = live();
        subject.take(&Input::Syn(syn(10, 7)));
        subject.take(&Input::Socket(closed(errno)));
        let reason = only(&mut subject).close_reason;
        assert_eq!(reason, CloseReason::Unreachable, "{errno}");
    }
}

#[test]
fn a_number_that_was_not_sent_is_not_believed() {
    let mut subject = live();
    subject.take(&Input::Syn(syn(10, INITIAL)));
    for seq in [
        INITIAL.wrapping_sub(1),
        INITIAL.wrapping_add(2),
        0x5555_5555,
    ] {
        subject.take(&Input::Icmp(prohibited(20, seq)));
    }
    assert_eq!(subject.tally().icmp_not_believed, 3);
    subject.take(&Input::Turn(Turn {
        seq: INITIAL.wrapping_add(1),
        ..turn(1, Way::Egress, 40, GET)
    }));
    // Wrapped around, and about as far as the stream has come.
    let near = INITIAL.wrapping_add(1 + u32::try_from(GET.len()).unwrap());
    subject.take(&Input::Icmp(prohibited(50, near)));
    subject.take(&Input::Icmp(prohibited(60, near.wrapping_add(1 << 30))));
    assert_eq!(subject.tally().icmp_not_believed, 1);
    subject.finish_all(100);
    assert_eq!(only(&mut subject).icmp.unwrap().count, 1);
}

#[test]
fn other_connections_and_namespaces_have_their_own() {
    let mut subject = live();
    subject.take(&Input::Syn(syn(10, 7)));
    let other: SocketAddr = "10.0.0.1:5001".parse().unwrap();
    for message in [
        IcmpMessage {
            netns: 2,
            ..prohibited(20, 7)
        },
        IcmpMessage {
            quoted: Quoted::Segment(QuotedSegment {
                source: other,
                ..segment(7)
            }),
            ..prohibited(20, 7)
        },
    ] {
        subject.take(&Input::Icmp(message));
    }
    assert_eq!(subject.tally().icmp_unknown, 2);
    subject.finish_all(100);
    assert_eq!(only(&mut subject).icmp, None);
}

#[test]
fn in_a_capture_file_an_attempt_ends_with_the_message() {
    let mut subject = file();
    subject.take(&Input::Syn(End {
        netns: 0,
        ..syn(10, 7)
    }));
    subject.take(&Input::Icmp(IcmpMessage {
        netns: 0,
        ..prohibited(20, 7)
    }));
    subject.finish_all(100);
    let one = only(&mut subject);
    assert_eq!(one.close_reason, CloseReason::Unreachable);
    assert_eq!(one.end_ns, Some(20));
}

#[test]
fn a_capture_file_tells_the_same_without_numbers_of_namespaces() {
    let mut subject = file();
    for (cookie, local, remote) in [(1, CLIENT, SERVER), (2, SERVER, CLIENT)] {
        let packet = End {
            netns: 0,
            ..end(cookie, local, remote, Way::Egress)
        };
        if cookie == 1 {
            subject.take(&Input::Syn(End {
                netns: 0,
                ..syn(10, 7)
            }));
        } else {
            subject.take(&Input::Open(packet));
            subject.take(&Input::Turn(turn(2, Way::Egress, 40, b"hello")));
        }
    }
    let (plain, quoted) = (prohibited(50, 105), segment(105));
    subject.take(&Input::Icmp(IcmpMessage {
        netns: 0,
        mtu: Some(1400),
        quoted: Quoted::Segment(QuotedSegment {
            source: quoted.destination,
            destination: quoted.source,
            ..quoted
        }),
        ..plain
    }));
    subject.finish_all(100);
    let errors = only(&mut subject).icmp.unwrap();
    assert_eq!(
        (errors.first.about, errors.first.mtu),
        (Side::Server, Some(1400))
    );
}
