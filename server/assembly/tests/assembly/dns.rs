//! DNS: told once whoever saw it, on ports that say nothing only when it pairs, and joined to what uses the answer.

use std::net::SocketAddr;

use headwater_assembly::{
    Assembly, Datagram, End, Identities, Input, Limits, Look, Owner, TcpFlags, Way,
};
use headwater_model::{AskedBy, Connection, DnsExchange, DnsOutcome, Event, ServiceKind, UdpFlow};

use crate::support::{OWNER, Program, SYN, end, file, live, packet, redactor, subject};

pub(crate) const CLIENT: &str = "10.0.0.1:5000";
pub(crate) const SERVER: &str = "10.0.0.53:53";
pub(crate) const SECOND: u64 = 1_000_000_000;

/// A query for A of `a.example`, and its answer 10.0.0.2, as the wire has them.
pub(crate) fn query(id: u8) -> Vec<u8> {
    let head = [0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&head[..], b"\x01a\x07example\0\0\x01\0\x01"].concat()
}

pub(crate) fn answer(id: u8) -> Vec<u8> {
    let head = [0, id, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x02";
    [&head[..], b"\x01a\x07example\0\0\x01\0\x01", record].concat()
}

pub(crate) fn datagram<'a>(
    at_ns: u64,
    (cookie, way): (u64, Way),
    (local, remote): (&str, &str),
    bytes: &'a [u8],
) -> Input<'a> {
    let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
    Input::Datagram(Datagram {
        at_ns,
        cookie,
        local: address(local),
        remote: address(remote),
        way,
        netns: 1,
        loopback: false,
        look: Look::Dns,
        payload_length: u32::try_from(bytes.len()).unwrap(),
        bytes,
    })
}

pub(crate) fn told<I: Identities>(
    subject: &mut Assembly<I>,
) -> (Vec<DnsExchange>, Vec<UdpFlow>, Vec<Connection>) {
    let (mut exchanges, mut flows, mut connections) = (Vec::new(), Vec::new(), Vec::new());
    for event in subject.events() {
        match event {
            Event::Dns(one) => exchanges.push(*one),
            Event::UdpFlow(one) => flows.push(*one),
            Event::Connection(one) => connections.push(*one),
            _ => {}
        }
    }
    (exchanges, flows, connections)
}

fn ask<I: Identities>(subject: &mut Assembly<I>, at_ns: u64, server: &str) {
    let (query, answer) = (query(7), answer(7));
    subject.take(&datagram(at_ns, (1, Way::Egress), (CLIENT, server), &query));
    subject.take(&datagram(
        at_ns + 5,
        (1, Way::Ingress),
        (CLIENT, server),
        &answer,
    ));
}

#[test]
fn a_question_seen_at_both_ends_is_told_once() {
    let mut subject = live();
    let (query, answer) = (query(7), answer(7));
    for (at_ns, way, ends, cookie, bytes) in [
        (10, Way::Egress, (CLIENT, SERVER), 1, &query),
        (11, Way::Ingress, (SERVER, CLIENT), 2, &query),
        (12, Way::Egress, (SERVER, CLIENT), 2, &answer),
        (13, Way::Ingress, (CLIENT, SERVER), 1, &answer),
    ] {
        subject.take(&datagram(at_ns, (cookie, way), ends, bytes));
    }
    let (exchanges, ..) = told(&mut subject);
    assert_eq!(exchanges.len(), 1, "{exchanges:#?}");
    let exchange = &exchanges[0];
    assert_eq!(exchange.outcome, DnsOutcome::Answered);
    assert_eq!((exchange.retries, exchange.latency_ns()), (0, Some(2)));
    assert_eq!(
        exchange.question.as_ref().unwrap().name.as_str(),
        "a.example"
    );
    let answer = exchange.answer.as_ref().unwrap();
    assert_eq!(
        answer.addresses,
        ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(answer.minimum_ttl_s, Some(60));
    assert!(exchange.client.local && exchange.server.local);
    assert_eq!(subject.tally().dns, 1);
}

#[test]
fn silence_is_told_after_its_time_with_its_retries() {
    let mut subject = live();
    let query = query(9);
    for at_ns in [0, SECOND, 2 * SECOND] {
        subject.take(&datagram(at_ns, (1, Way::Egress), (CLIENT, SERVER), &query));
    }
    subject.tick_datagrams(7 * SECOND, |_| None);
    assert!(told(&mut subject).0.is_empty());
    subject.tick_datagrams(8 * SECOND + 1, |_| None);
    let (exchanges, ..) = told(&mut subject);
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].outcome, DnsOutcome::NoAnswer);
    assert_eq!(exchanges[0].retries, 2);
    let answer = answer(9);
    subject.take(&datagram(
        9 * SECOND,
        (1, Way::Ingress),
        (CLIENT, SERVER),
        &answer,
    ));
    assert_eq!(told(&mut subject).0[0].outcome, DnsOutcome::AnsweredLate);
}

#[test]
fn on_another_port_only_what_is_answered_is_dns() {
    let mut subject = live();
    let other = "10.0.0.53:9953";
    let lone = query(1);
    subject.take(&datagram(0, (1, Way::Egress), (CLIENT, other), &lone));
    subject.tick_datagrams(20 * SECOND, |_| None);
    assert!(told(&mut subject).0.is_empty());
    ask(&mut subject, 21 * SECOND, other);
    assert_eq!(told(&mut subject).0.len(), 1);
    // From now on that server is one of DNS, and silence tells.
    subject.take(&datagram(
        22 * SECOND,
        (3, Way::Egress),
        ("10.0.0.1:6000", other),
        &lone,
    ));
    subject.tick_datagrams(40 * SECOND, |_| None);
    assert_eq!(told(&mut subject).0[0].outcome, DnsOutcome::NoAnswer);
}

#[test]
fn an_answer_from_elsewhere_is_found_by_who_asked() {
    let mut subject = live();
    let (query, answer) = (query(3), answer(3));
    // As with Docker's resolver: the question goes to a translated port, the answer comes from the one that was meant.
    let asked = ("127.0.0.1:5000", "127.0.0.11:41234");
    subject.take(&datagram(1, (1, Way::Egress), asked, &query));
    let answered = ("127.0.0.11:53", "127.0.0.1:5000");
    subject.take(&datagram(2, (2, Way::Egress), answered, &answer));
    let (exchanges, ..) = told(&mut subject);
    assert_eq!(exchanges.len(), 1, "{exchanges:#?}");
    assert_eq!(exchanges[0].outcome, DnsOutcome::Answered);
    assert_eq!(exchanges[0].server.port, 41234);
}

#[test]
fn a_connection_goes_by_the_newest_answer_before_it() {
    // Somebody in its namespace asked: that is told, and names nobody.
    let mut subject = live();
    let (connection, exchanges) = connected_after_asking(&mut subject);
    let resolution = connection.resolution.as_ref().unwrap();
    assert_eq!(resolution.exchange, exchanges[0].key);
    assert_eq!(
        (resolution.name.as_str(), resolution.before_ns),
        ("a.example", 295)
    );
    assert_eq!(resolution.asked_by, AskedBy::Namespace);
    assert_eq!(connection.server.service.kind, ServiceKind::Address);

    // The process that connects asked: its server goes by the name.
    let mut subject = Assembly::new(Limits::default(), redactor(), Program { own: false });
    subject.take(&Input::DatagramOwner(OWNER));
    let connecting = Owner { cookie: 9, ..OWNER };
    subject.take(&Input::Owner(connecting));
    let (connection, _) = connected_after_asking(&mut subject);
    let resolution = connection.resolution.as_ref().unwrap();
    assert_eq!(resolution.asked_by, AskedBy::Process);
    assert_eq!(connection.server.service.kind, ServiceKind::Host);
    assert_eq!(connection.server.service.name.as_str(), "a.example");
}

/// Asks, connects to what was answered, asks again, and is refused.
fn connected_after_asking<I: Identities>(
    subject: &mut Assembly<I>,
) -> (Connection, Vec<DnsExchange>) {
    ask(subject, 100, SERVER);
    let syn = End {
        at_ns: 400,
        flags: SYN,
        ..end(9, "10.0.0.1:6001", "10.0.0.2:80", Way::Egress)
    };
    subject.take(&Input::Syn(syn));
    // A later answer says nothing of an earlier connection.
    ask(subject, 500, SERVER);
    let refused = End {
        at_ns: 600,
        way: Way::Ingress,
        flags: TcpFlags {
            rst: true,
            ..TcpFlags::default()
        },
        ..syn
    };
    subject.take(&Input::Close(refused));
    let (exchanges, _, connections) = told(subject);
    (connections[0].clone(), exchanges)
}

#[test]
fn over_tcp_messages_are_cut_out_of_the_stream() {
    let mut subject = file();
    let stream = |message: Vec<u8>| {
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        [&length[..], &message].concat()
    };
    let (query, answer) = (stream(query(5)), stream(answer(5)));
    for port in ["53", "7777"] {
        let server_at = format!("10.0.0.2:{port}");
        let client = end(1, "10.0.0.1:5000", &server_at, Way::Egress);
        let server = end(2, &server_at, "10.0.0.1:5000", Way::Egress);
        subject.take(&Input::Syn(End {
            flags: SYN,
            ..client
        }));
        subject.take(&Input::Open(server));
        let (first, second) = query.split_at(if port == "53" { 1 } else { 29 });
        subject.take(&Input::Turn(packet(1, 10, 0, first)));
        subject.take(&Input::Turn(packet(1, 11, first.len(), second)));
        subject.take(&Input::Turn(packet(2, 30, 0, &answer)));
        let (exchanges, _, connections) = told(&mut subject);
        assert_eq!(exchanges.len(), 1, "{port}");
        let exchange = &exchanges[0];
        assert_eq!(exchange.outcome, DnsOutcome::Answered);
        assert_eq!(exchange.connection, Some(connections[0].key));
        assert_eq!(connections.last().unwrap().protocol, Some("dns"));
        subject.finish_all(100);
        let _ = told(&mut subject);
    }
}

#[test]
fn other_datagrams_are_flows_with_counts() {
    let mut subject = file();
    for (at_ns, ends, length) in [
        (1, (CLIENT, "10.0.0.9:123"), 48),
        (2, ("10.0.0.9:123", CLIENT), 48),
        (3, (CLIENT, "10.0.0.9:123"), 20),
    ] {
        let bytes = vec![0x1b; length];
        let Input::Datagram(one) = datagram(at_ns, (0, Way::Egress), ends, &bytes) else {
            unreachable!()
        };
        subject.take(&Input::Datagram(Datagram {
            look: Look::File,
            netns: 0,
            ..one
        }));
    }
    subject.finish_all(10);
    let (_, flows, _) = told(&mut subject);
    assert_eq!(flows.len(), 1);
    let flow = &flows[0];
    assert_eq!((flow.sent.packets, flow.sent.bytes), (2, 68));
    assert_eq!((flow.received.packets, flow.received.bytes), (1, 48));
    assert_eq!((flow.start_ns, flow.last_ns), (1, 3));
}

#[test]
fn a_flood_of_flows_is_bounded_and_counted() {
    let mut subject = subject(Limits::default());
    for number in 0..20_000_u32 {
        let client = format!(
            "10.{}.{}.1:{}",
            number / 200,
            number % 200,
            1000 + number % 60_000
        );
        let Input::Datagram(one) = datagram(
            u64::from(number),
            (u64::from(number) + 1, Way::Ingress),
            ("10.0.0.9:123", &client),
            b"",
        ) else {
            unreachable!()
        };
        subject.take(&Input::Datagram(Datagram {
            look: Look::Flow,
            ..one
        }));
    }
    assert_eq!(subject.tally().udp_evicted, 20_000 - 8_192);
}
