//! What is left out or cannot be followed is counted exactly, however often the clock ticks meanwhile.

use std::{cell::RefCell, collections::HashSet};

use headwater_assembly::{Assembly, End, Input, Limits, Passed, Spot, Turn, Way};
use headwater_model::Gaps;

use crate::support::{FIN, GET, OK, OWNER, Program, end, live, redactor, subject, turn};

const SECOND: u64 = 1_000_000_000;
fn client(cookie: u64) -> End {
    let local = format!("10.0.0.1:{}", 5_000 + cookie);
    end(cookie, &local, "192.0.2.1:80", Way::Egress)
}

#[test]
fn an_exchange_of_ones_own_counts_once_when_it_ends() {
    let mut subject = Assembly::new(Limits::default(), redactor(), Program { own: true });
    subject.take(&Input::Open(client(1)));
    subject.take(&Input::Owner(OWNER));
    for number in 0..3_u64 {
        let offset = number * GET.len() as u64;
        let at_ns = (number * 10 + 1) * SECOND;
        subject.take(&Input::Turn(Turn {
            offset,
            number: Some(u32::try_from(number).unwrap()),
            ..turn(1, Way::Egress, at_ns, GET)
        }));
        for tick in 1..9 {
            subject.tick(at_ns + tick * SECOND, |_| None);
        }
        assert_eq!(subject.tally().own, 0, "open");
        subject.take(&Input::Turn(Turn {
            offset: number * OK.len() as u64,
            number: Some(u32::try_from(number).unwrap()),
            ..turn(1, Way::Ingress, at_ns + 9 * SECOND, OK)
        }));
        subject.tick(at_ns + 9 * SECOND, |_| None);
        assert_eq!(subject.tally().own, 1);
    }
    assert_eq!(subject.events().count(), 0);
}

#[test]
fn a_filtered_connection_counts_once() {
    let mut subject = subject(Limits {
        except_ports: vec![80],
        ..Limits::default()
    });
    for cookie in [1, 2] {
        subject.take(&Input::Open(client(cookie)));
        subject.take(&Input::Turn(turn(cookie, Way::Egress, SECOND, GET)));
        subject.take(&Input::Turn(turn(cookie, Way::Ingress, SECOND + 1, OK)));
    }
    for tick in 2..20 {
        subject.tick(tick * SECOND, |_| None);
    }
    assert_eq!(subject.tally().filtered, 2, "idle, and not ended");
    subject.take(&Input::Close(End {
        flags: FIN,
        ..client(1)
    }));
    subject.finish_all(30 * SECOND);
    assert_eq!(subject.tally().filtered, 0, "counted before");
}

#[test]
fn a_socket_that_cannot_be_followed_counts_once_an_interval() {
    let mut subject = live();
    for expected in [2, 2, 2] {
        for cookie in [1, 2] {
            for at_ns in 1..5 {
                subject.take(&Input::Turn(turn(cookie, Way::Egress, at_ns, GET)));
            }
        }
        assert_eq!(subject.tally().unfollowed, expected);
    }
    assert_eq!(subject.tally().unfollowed, 0, "silent");
}

#[test]
fn what_was_evicted_and_goes_on_is_counted() {
    let mut subject = subject(Limits {
        conversations: 1,
        ..Limits::default()
    });
    for cookie in [1, 2] {
        subject.take(&Input::Open(client(cookie)));
        subject.take(&Input::Turn(turn(cookie, Way::Egress, 10, GET)));
    }
    let tally = subject.tally();
    assert_eq!((tally.evicted, tally.unfollowed), (1, 0));
    subject.take(&Input::Turn(turn(1, Way::Egress, 20, GET)));
    assert_eq!(subject.tally().unfollowed, 1);
}

#[test]
fn no_open_exchange_is_never_looked_at() {
    const COUNT: u64 = 2_500;
    let mut subject = live();
    for cookie in 1..=COUNT {
        subject.take(&Input::Open(client(cookie)));
        subject.take(&Input::Turn(turn(cookie, Way::Egress, 10, GET)));
    }
    let seen = RefCell::new(HashSet::new());
    let mut looks = Vec::new();
    for tick in 1..=3 {
        subject.tick(tick * SECOND, |spot| {
            if let Spot::Socket { cookie, .. } = spot {
                seen.borrow_mut().insert(cookie);
            }
            None
        });
        looks.push(seen.borrow().len());
    }
    assert_eq!(looks, [1_024, 2_048, 2_500]);
    let (_, exchanges) = crate::support::results(&mut subject);
    assert_eq!(exchanges.len(), 2_500, "each is shown while it is open");
}

/// Whoever reads "all until then is told" must find the end of a body in it that was only counted.
#[test]
fn what_is_said_to_be_told_has_the_ends_of_bodies() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    let mut subject = live();
    let mut is_told = false;
    subject.caught_up(SECOND);
    subject.take(&Input::Open(client(1)));
    subject.take(&Input::Turn(turn(1, Way::Egress, SECOND, GET)));
    subject.take(&Input::Turn(turn(1, Way::Ingress, SECOND + 1, HEAD)));
    for tick in 1..9 {
        // The body is through between the third tick and the fourth, and no record tells it.
        let through_ns = 4 * SECOND - SECOND / 2;
        let body = if tick < 4 { 0 } else { 5_000 };
        // Nothing is read for a while.
        if tick != 6 {
            subject.caught_up(tick * SECOND);
        }
        subject.tick(tick * SECOND, |spot| {
            let is_egress = matches!(
                spot,
                Spot::Socket {
                    way: Way::Egress,
                    ..
                }
            );
            let bytes = if is_egress {
                GET.len()
            } else {
                HEAD.len() + body
            };
            Some(Passed {
                bytes: bytes as u64,
                last_ns: through_ns,
                last_chunk: false,
            })
        });
        is_told |= subject.events().any(|event| match event {
            headwater_model::Event::Exchange(exchange) => {
                exchange.outcome == headwater_model::Outcome::Complete
            }
            _ => false,
        });
        let reaches_it = subject.told_until_ns() > through_ns;
        assert!(!reaches_it || is_told, "tick {tick}: said to be told");
    }
    assert!(is_told);
    assert!(subject.told_until_ns() > 6 * SECOND, "and it goes on");
}

/// A recorder that is behind: what passed at a socket was seen long before the records of it are read.
#[test]
fn what_was_seen_pass_waits_for_its_records() {
    let mut subject = live();
    subject.caught_up(SECOND);
    subject.take(&Input::Open(client(1)));
    subject.take(&Input::Turn(turn(1, Way::Egress, SECOND, GET)));
    let passed = |spot: Spot| {
        let is_egress = matches!(
            spot,
            Spot::Socket {
                way: Way::Egress,
                ..
            }
        );
        let bytes = if is_egress { 2 * GET.len() } else { OK.len() };
        Some(Passed {
            bytes: bytes as u64,
            last_ns: 2 * SECOND,
            last_chunk: false,
        })
    };
    // The second request and the answer to the first have passed; their records are still in the ring buffer.
    for tick in 2..9 {
        subject.tick(tick * SECOND, passed);
    }
    subject.take(&Input::Turn(turn(1, Way::Ingress, SECOND + 1, OK)));
    subject.take(&Input::Turn(Turn {
        offset: GET.len() as u64,
        number: Some(1),
        ..turn(1, Way::Egress, 2 * SECOND, GET)
    }));
    subject.caught_up(9 * SECOND);
    subject.finish_all(10 * SECOND);
    let (_, exchanges) = crate::support::results(&mut subject);
    let ended: Vec<_> = exchanges
        .iter()
        .filter_map(|exchange| Some(exchange.response.as_ref()?.status_code))
        .collect();
    assert_eq!(ended.len(), 1, "{exchanges:?}");
    assert!(
        exchanges.len() >= 2,
        "the second request was read: {exchanges:?}"
    );
    assert!(
        exchanges
            .iter()
            .all(|exchange| exchange.gaps == Gaps::default().with(Gaps::JOINED_MIDSTREAM)),
        "{exchanges:?}"
    );
}
