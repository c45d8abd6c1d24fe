//! Peers that begin and never end: what is held stays within its bytes, and what has to go is counted.

use std::net::SocketAddr;

use headwater_assembly::{End, Input, Limits, Place, Turn, Way};

use crate::support::{GET, OK, SYN, Subject, end, live, results, subject, turn};

const BUDGET: usize = 4 << 20;
const HALF: usize = 2_000;

/// A request line and a header value without an end.
fn half_a_head() -> Vec<u8> {
    let mut head = b"GET /slow HTTP/1.1\r\nHost: h.example\r\nX-Filler: ".to_vec();
    head.resize(HALF, b'x');
    head
}

fn client(cookie: u64) -> End {
    let local = format!("10.0.{}.{}:5000", cookie / 250, cookie % 250);
    end(cookie, &local, "192.0.2.1:80", Way::Egress)
}

fn bounded(held_bytes: usize) -> Subject {
    subject(Limits {
        held_bytes,
        ..Limits::default()
    })
}

#[test]
fn twenty_thousand_connections_with_half_a_head_each() {
    const COUNT: u64 = 20_000;
    let mut subject = bounded(BUDGET);
    let half = half_a_head();
    let (mut most, mut evicted, mut by_table) = (0, 0, 0);
    for cookie in 1..=COUNT {
        subject.take(&Input::Open(client(cookie)));
        subject.take(&Input::Turn(turn(cookie, Way::Egress, cookie, &half)));
        most = most.max(subject.held_bytes());
        assert!(subject.held_bytes() <= BUDGET, "{cookie}");
        let tally = subject.tally();
        evicted += tally.held_evicted;
        by_table += tally.evicted;
        subject.events().for_each(drop);
    }
    assert!(
        most > BUDGET / 2,
        "{most} bytes were held: nothing was tried"
    );
    let left = (subject.held_bytes() / HALF) as u64;
    assert_eq!(evicted + by_table + left, COUNT, "each is held or counted");
    // The newest are still followed.
    subject.take(&Input::Turn(Turn {
        offset: HALF as u64,
        number: Some(1),
        place: Place::SameTurn,
        ..turn(COUNT, Way::Egress, COUNT + 1, b"\r\n\r\n")
    }));
    subject.take(&Input::Turn(turn(COUNT, Way::Ingress, COUNT + 2, OK)));
    let (_, exchanges) = results(&mut subject);
    assert_eq!(exchanges.len(), 1, "{exchanges:?}");
    subject.finish_all(COUNT + 3);
    // The short head of the one answer may come again, and is remembered.
    assert!(subject.held_bytes() < 1024, "the rest is given back");
}

#[test]
fn open_exchanges_count_too() {
    let mut subject = bounded(BUDGET);
    let mut head = half_a_head();
    head.extend_from_slice(b"\r\n\r\n");
    let mut evicted = 0;
    for cookie in 1..=8_000 {
        subject.take(&Input::Open(client(cookie)));
        subject.take(&Input::Turn(turn(cookie, Way::Egress, cookie, &head)));
        assert!(subject.held_bytes() <= BUDGET, "{cookie}");
        evicted += subject.tally().held_evicted;
        subject.events().for_each(drop);
    }
    assert!(evicted > 0, "{} bytes are held", subject.held_bytes());
    subject.finish_all(9_000);
    assert_eq!(subject.held_bytes(), 0);
}

/// Both directions with heads without end, and pieces that come too early.
#[test]
fn one_connection_holds_no_more_than_its_share() {
    let mut subject = live();
    subject.take(&Input::Open(client(1)));
    subject.take(&Input::Turn(turn(1, Way::Egress, 1, GET)));
    let (mut at, mut number) = (GET.len() as u64, 1);
    let half = half_a_head();
    let mut most = 0;
    for round in 0..200_u64 {
        for (way, bytes) in [(Way::Egress, &half), (Way::Ingress, &half)] {
            // Every third piece of what the client sends is missing for a while.
            let gap = if way == Way::Egress && round % 3 == 0 {
                7
            } else {
                0
            };
            subject.take(&Input::Turn(Turn {
                offset: if way == Way::Egress {
                    at + gap
                } else {
                    round * HALF as u64
                },
                number: None,
                place: Place::File,
                ..turn(1, way, round + 2, bytes)
            }));
            number += 1;
            most = most.max(subject.held_bytes());
        }
        at += HALF as u64;
    }
    // What was made of the heads of open exchanges, a few hundred bytes each, comes on top.
    assert!(
        most <= (64 << 10) + (16 << 10),
        "{most} bytes were held after {number} packets"
    );
    assert!(subject.tally().heads_cut > 0);
}

#[test]
fn full_tables_count_what_they_forget() {
    let mut subject = subject(Limits {
        conversations: 100,
        ..Limits::default()
    });
    for cookie in 1..=1_000_u64 {
        let remote: SocketAddr = format!("192.0.2.7:{}", 1_000 + cookie).parse().unwrap();
        subject.take(&Input::Syn(End {
            at_ns: cookie,
            cookie: 1,
            remote,
            way: Way::Ingress,
            flags: SYN,
            ..client(1)
        }));
    }
    let forgotten = subject.tally().knocks_forgotten;
    assert!((900..1_000).contains(&forgotten), "{forgotten}");
    // Sockets that are told of and never speak.
    for cookie in 1..=1_000 {
        subject.take(&Input::Open(End {
            at_ns: cookie,
            ..client(cookie)
        }));
    }
    let forgotten = subject.tally().flows_forgotten;
    assert!((700..1_000).contains(&forgotten), "{forgotten}");
    subject.take(&Input::Turn(turn(1_000, Way::Egress, 2_000, GET)));
    assert_eq!(subject.tally().unfollowed, 0, "the newest is known");
}
