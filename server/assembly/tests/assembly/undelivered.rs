//! Errors of ICMP about datagrams: a query of DNS that came back ends with the reason, another flow counts what it met, and
//! what fits nothing is counted.

use headwater_assembly::{
    Assembly, IcmpMessage, Identities, Input, Limits, Owner, Quoted, QuotedDatagram, Way,
};
use headwater_model::{DnsExchange, DnsOutcome, IcmpError, Side};

use crate::dns::{CLIENT, SECOND, SERVER, answer, datagram, query, told};
use crate::support::{OWNER, Program, file, live, redactor};

/// The host that was asked says that nobody listens; `id` is what the quote holds of the payload.
fn port_unreachable(at_ns: u64, id: Option<u8>) -> IcmpMessage {
    IcmpMessage {
        at_ns,
        netns: 1,
        from: "10.0.0.53".parse().unwrap(),
        kind: 3,
        code: 3,
        mtu: None,
        quoted: quoted(CLIENT, SERVER, id),
    }
}

fn quoted(source: &str, destination: &str, id: Option<u8>) -> Quoted {
    Quoted::Datagram(QuotedDatagram {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        begins: id.map(|id| [0, id]),
    })
}

fn ask<I: Identities>(subject: &mut Assembly<I>, at_ns: u64, id: u8, server: &str) {
    let query = query(id);
    subject.take(&datagram(at_ns, (1, Way::Egress), (CLIENT, server), &query));
}

fn exchanges<I: Identities>(subject: &mut Assembly<I>) -> Vec<DnsExchange> {
    told(subject).0
}

#[test]
fn a_query_that_came_back_is_told_at_once() {
    let mut subject = live();
    ask(&mut subject, 100, 7, SERVER);
    subject.take(&Input::Icmp(port_unreachable(150, Some(7))));
    let found = exchanges(&mut subject);
    let [exchange] = &found[..] else {
        panic!("{found:#?}");
    };
    assert_eq!(exchange.outcome, DnsOutcome::Unreachable);
    assert_eq!((exchange.start_ns, exchange.end_ns), (100, 150));
    assert_eq!((exchange.retries, exchange.latency_ns()), (0, None));
    let told = IcmpError {
        at_ns: 150,
        from: "10.0.0.53".parse().unwrap(),
        about: Side::Client,
        kind: 3,
        code: 3,
        mtu: None,
    };
    assert_eq!(exchange.icmp.as_deref(), Some(&told));
    assert_eq!(subject.tally().icmp_not_believed, 0);
    // It is over: no silence is told of it, and it is no flow.
    subject.tick_datagrams(20 * SECOND, |_| None);
    let (exchanges, flows, _) = crate::dns::told(&mut subject);
    assert!(exchanges.is_empty() && flows.is_empty(), "{flows:#?}");
}

#[test]
fn every_try_that_came_back_is_one() {
    let mut subject = live();
    for at_ns in [100, 200, 300] {
        ask(&mut subject, at_ns, 7, SERVER);
        subject.take(&Input::Icmp(port_unreachable(at_ns + 5, Some(7))));
    }
    let starts: Vec<u64> = exchanges(&mut subject)
        .iter()
        .map(|exchange| exchange.start_ns)
        .collect();
    assert_eq!(starts, [100, 200, 300]);
}

#[test]
fn an_answer_all_the_same_is_told_as_late() {
    let mut subject = live();
    ask(&mut subject, 100, 7, SERVER);
    subject.take(&Input::Icmp(port_unreachable(150, Some(7))));
    let answer = answer(7);
    let ends = (CLIENT, SERVER);
    subject.take(&datagram(200, (1, Way::Ingress), ends, &answer));
    let outcomes: Vec<DnsOutcome> = exchanges(&mut subject)
        .iter()
        .map(|exchange| exchange.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [DnsOutcome::Unreachable, DnsOutcome::AnsweredLate]
    );
}

#[test]
fn what_was_not_asked_is_not_believed() {
    let mut subject = live();
    ask(&mut subject, 100, 7, SERVER);
    ask(&mut subject, 101, 8, SERVER);
    let elsewhere = IcmpMessage {
        netns: 2,
        ..port_unreachable(110, Some(7))
    };
    let answer_came_back = IcmpMessage {
        quoted: quoted(SERVER, CLIENT, Some(7)),
        ..port_unreachable(110, None)
    };
    // Source quench says nothing of what became of it.
    let quench = IcmpMessage {
        kind: 4,
        code: 0,
        ..port_unreachable(110, Some(7))
    };
    for message in [
        port_unreachable(110, Some(9)),
        // Two wait, and it could be either.
        port_unreachable(110, None),
        elsewhere,
        answer_came_back,
        quench,
    ] {
        subject.take(&Input::Icmp(message));
    }
    assert_eq!(subject.tally().icmp_not_believed, 5);
    for other in ["10.0.0.1:5001", "10.0.0.2:5000"] {
        let quoted = quoted(other, SERVER, Some(7));
        subject.take(&Input::Icmp(IcmpMessage {
            quoted,
            ..port_unreachable(110, None)
        }));
    }
    assert_eq!(subject.tally().icmp_unknown, 2);
    assert_eq!(exchanges(&mut subject), []);
    // One ends, and the other is the only one.
    subject.take(&Input::Icmp(port_unreachable(120, Some(7))));
    subject.take(&Input::Icmp(port_unreachable(120, None)));
    assert_eq!(exchanges(&mut subject).len(), 2);
    subject.take(&Input::Icmp(port_unreachable(130, Some(7))));
    assert_eq!(subject.tally().icmp_not_believed, 1, "it was told");
}

#[test]
fn another_flow_counts_what_it_met() {
    let mut subject = live();
    let server = "10.0.0.9:4000";
    let ends = (CLIENT, server);
    subject.take(&datagram(0, (1, Way::Egress), ends, b"hello there"));
    for (at_ns, code) in [(5, 3), (6, 3), (7, 13)] {
        subject.take(&Input::Icmp(IcmpMessage {
            code,
            quoted: quoted(CLIENT, server, None),
            ..port_unreachable(at_ns, None)
        }));
    }
    let of_server = IcmpMessage {
        quoted: quoted(server, CLIENT, None),
        ..port_unreachable(8, None)
    };
    subject.take(&Input::Icmp(of_server));
    // Its server is elsewhere, so that what comes back to it does not come here.
    assert_eq!(subject.tally().icmp_not_believed, 1);
    subject.tick_datagrams(SECOND, |_| None);
    let (_, flows, _) = told(&mut subject);
    let [flow] = &flows[..] else {
        panic!("{flows:#?}");
    };
    let icmp = flow.icmp.as_ref().expect("errors");
    let counts: Vec<_> = icmp
        .kinds()
        .iter()
        .map(|kind| (kind.last.about, kind.last.code, kind.count))
        .collect();
    assert_eq!(counts, [(Side::Client, 3, 2), (Side::Client, 13, 1)]);
    assert_eq!(flow.last_ns, 0, "no datagram passed since");

    // One that comes later makes it told again, without another datagram.
    subject.take(&Input::Icmp(IcmpMessage {
        quoted: quoted(CLIENT, server, None),
        ..port_unreachable(2 * SECOND, None)
    }));
    subject.tick_datagrams(12 * SECOND, |_| None);
    let (_, flows, _) = told(&mut subject);
    assert_eq!(flows[0].icmp.as_ref().unwrap().count(), 4);
}

#[test]
fn what_looks_like_a_query_on_another_port_is_a_flow_with_its_error() {
    let mut subject = live();
    let server = "10.0.0.53:9953";
    ask(&mut subject, 0, 7, server);
    subject.take(&Input::Icmp(IcmpMessage {
        quoted: quoted(CLIENT, server, Some(7)),
        ..port_unreachable(5, None)
    }));
    subject.tick_datagrams(SECOND, |_| None);
    let (exchanges, flows, _) = told(&mut subject);
    assert!(exchanges.is_empty(), "{exchanges:#?}");
    assert_eq!(flows[0].icmp.as_ref().unwrap().count(), 1);
}

#[test]
fn a_capture_file_tells_both_without_numbers_of_namespaces() {
    let mut subject = file();
    let query = query(7);
    for (at_ns, local, remote) in [(10, CLIENT, SERVER), (11, "10.0.0.9:4000", CLIENT)] {
        let mut input = datagram(at_ns, (0, Way::Egress), (local, remote), &query);
        if let Input::Datagram(datagram) = &mut input {
            datagram.netns = 0;
        }
        subject.take(&input);
    }
    for quoted in [
        quoted(CLIENT, SERVER, Some(7)),
        quoted("10.0.0.9:4000", CLIENT, None),
        // Nothing passed this way.
        quoted(CLIENT, "10.0.0.9:4000", None),
    ] {
        subject.take(&Input::Icmp(IcmpMessage {
            netns: 0,
            quoted,
            ..port_unreachable(20, None)
        }));
    }
    assert_eq!(subject.tally().icmp_not_believed, 1);
    subject.finish_all(100);
    let (exchanges, flows, _) = told(&mut subject);
    assert_eq!(exchanges[0].outcome, DnsOutcome::Unreachable);
    assert_eq!(flows[0].icmp.as_ref().unwrap().count(), 1);
}

#[test]
fn namespaces_of_udp_are_listened_in() {
    let mut subject = Assembly::new(Limits::default(), redactor(), Program { own: false });
    subject.take(&Input::DatagramOwner(Owner { cookie: 1, ..OWNER }));
    ask(&mut subject, 0, 7, SERVER);
    let met: Vec<u32> = subject.namespaces_met().map(|(netns, _)| netns).collect();
    assert_eq!(met, [1]);
}
