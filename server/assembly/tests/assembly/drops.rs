//! Packets that the kernel dropped: whose they are.

use headwater_assembly::{Dropped, End, Input, Way};
use headwater_model::{CloseReason, Side};

use crate::support::{GET, OK, RST, SYN, end, live, results, socket, turn};

fn dropped(end: End, reason: &str) -> Input<'_> {
    Input::Dropped(Dropped { end, reason })
}

/// A filter takes each SYN before the probe at its socket sees one: they are the attempt, its retries, and what was dropped.
#[test]
fn an_attempt_known_by_its_drops() {
    let mut subject = live();
    let syn = End {
        flags: SYN,
        ..end(9, "10.0.0.1:5000", "10.0.0.2:80", Way::Egress)
    };
    for at_ns in [1_000, 2_000, 4_000] {
        subject.take(&dropped(End { at_ns, ..syn }, "NETFILTER_DROP"));
    }
    subject.take(&Input::Socket(socket(9, 9_000, 110)));
    subject.finish_all(10_000);
    let (connections, _) = results(&mut subject);
    let [connection] = &connections[..] else {
        panic!("{connections:?}");
    };
    assert_eq!(connection.close_reason, CloseReason::TimedOut);
    assert_eq!(
        (connection.start_ns, connection.end_ns),
        (1_000, Some(9_000))
    );
    assert_eq!(connection.client_tcp.syn_retries, 2);
    let [drops] = &connection.drops[..] else {
        panic!("{connection:?}");
    };
    assert_eq!(
        (drops.by, drops.count, drops.first_ns),
        (Side::Client, 3, 1_000)
    );
    assert_eq!(&*drops.reason, "NETFILTER_DROP");
}

/// Where the probe has seen the SYN, its drop is none sent again.
#[test]
fn a_drop_behind_the_probe_is_no_retry() {
    let mut subject = live();
    let syn = End {
        flags: SYN,
        ..end(9, "10.0.0.1:5000", "10.0.0.2:80", Way::Egress)
    };
    subject.take(&Input::Syn(syn));
    subject.take(&dropped(
        End {
            at_ns: 3_000,
            ..syn
        },
        "NEIGH_FAILED",
    ));
    // Another's, a stray's, and a RST that did its work.
    let other = end(0, "10.0.0.1:5001", "10.0.0.2:80", Way::Ingress);
    subject.take(&dropped(other, "NO_SOCKET"));
    let reset = End {
        flags: RST,
        ..end(0, "10.0.0.1:5000", "10.0.0.2:80", Way::Ingress)
    };
    subject.take(&dropped(reset, "TCP_RESET"));
    subject.finish_all(10_000);
    let (connections, _) = results(&mut subject);
    let [connection] = &connections[..] else {
        panic!("{connections:?}");
    };
    assert_eq!(connection.client_tcp.syn_retries, 0);
    let told: Vec<_> = connection
        .drops
        .iter()
        .map(|one| (&*one.reason, one.count))
        .collect();
    assert_eq!(told, [("NEIGH_FAILED", 1)]);
}

/// What arrives for a socket whose cookie is not known finds its connection by addresses and namespace.
#[test]
fn who_sent_what_was_dropped() {
    let mut subject = live();
    let client = end(1, "10.0.0.1:5000", "10.0.0.2:80", Way::Egress);
    subject.take(&Input::Syn(End {
        flags: SYN,
        ..client
    }));
    subject.take(&Input::Open(client));
    subject.take(&Input::Turn(turn(1, Way::Egress, 2_000, GET)));
    subject.take(&Input::Open(End {
        way: Way::Ingress,
        ..client
    }));
    subject.take(&Input::Turn(turn(1, Way::Ingress, 3_000, OK)));
    let incoming = End {
        cookie: 0,
        at_ns: 4_000,
        way: Way::Ingress,
        ..client
    };
    subject.take(&dropped(incoming, "SOCKET_RCVBUFF"));
    subject.take(&dropped(
        End {
            netns: 2,
            ..incoming
        },
        "SOCKET_RCVBUFF",
    ));
    let seen_from_the_server = end(0, "10.0.0.2:80", "10.0.0.1:5000", Way::Ingress);
    subject.take(&dropped(seen_from_the_server, "TCP_ZEROWINDOW"));
    subject.finish_all(10_000);
    let (connections, _) = results(&mut subject);
    let told: Vec<_> = connections[0]
        .drops
        .iter()
        .map(|one| (one.by, &*one.reason, one.count))
        .collect();
    assert_eq!(
        told,
        [
            (Side::Server, "SOCKET_RCVBUFF", 1),
            (Side::Client, "TCP_ZEROWINDOW", 1)
        ]
    );
}
