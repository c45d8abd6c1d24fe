//! DNS exchanges and UDP flows: rows, roll-ups, segments, and what is resolved from them.

use std::net::IpAddr;

use headwater_model::{
    AskedBy, CloseReason, ConnectionEnd, DnsAnswer, DnsExchange, DnsKey, DnsOutcome, DnsQuestion,
    Event, Evidence, IcmpError, ProcessKey, Resolution, Side, Transport, UdpCount, UdpFlow,
    UdpFlowKey,
};

use super::fixture::{Fixture, SECOND, START};

impl Fixture {
    fn end(&mut self, name: &str, port: u16, serves: bool) -> ConnectionEnd {
        let address: IpAddr = [127, 0, 0, 1].into();
        ConnectionEnd {
            address,
            port,
            peer_address: address,
            peer_port: 1,
            local: true,
            netns: 1,
            cookie: 1,
            process: None,
            process_evidence: Evidence::TurnStart,
            service: self.service(name, serves.then_some(port)),
        }
    }

    fn dns(&mut self, key: u64, rcode: Option<u16>) -> DnsExchange {
        let start_ns = START + key * SECOND;
        let answer = rcode.map(|rcode| DnsAnswer {
            at_ns: start_ns + 1_000,
            rcode,
            authoritative: true,
            truncated: false,
            addresses: vec![[10, 0, 0, 2].into(), [10, 0, 0, 3].into()],
            address_count: 2,
            aliases: vec![self.name("b.example")],
            other_count: 1,
            minimum_ttl_s: Some(60),
            bytes: 80,
            is_cut: false,
        });
        DnsExchange {
            key: DnsKey(key),
            client: self.end("curl", 40_000, false),
            server: self.end("dnsmasq", 53, true),
            transport: Transport::Udp,
            connection: None,
            id: 7,
            question: Some(DnsQuestion {
                name: self.name("a.example"),
                kind: 1,
                class: 1,
            }),
            start_ns,
            retries: 2,
            query_bytes: 30,
            outcome: if answer.is_some() {
                DnsOutcome::Answered
            } else {
                DnsOutcome::NoAnswer
            },
            answer,
            icmp: None,
            end_ns: start_ns + 2_000,
        }
    }

    fn name(&mut self, name: &str) -> headwater_redact::Text {
        self.service(name, None).name
    }

    fn udp_flow(&mut self, key: u64, packets: u64) -> Event {
        let count = UdpCount {
            packets,
            bytes: packets * 100,
        };
        Event::UdpFlow(Box::new(UdpFlow {
            key: UdpFlowKey(key),
            client: self.end("curl", 40_000, false),
            server: self.end("ntpd", 123, true),
            start_ns: START,
            last_ns: START + packets,
            sent: count,
            received: UdpCount::default(),
            quic: None,
            icmp: None,
        }))
    }
}

#[test]
fn a_query_that_came_back_is_a_failure_of_its_own_kind() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    let plain = fixture.dns(1, None);
    let exchange = DnsExchange {
        outcome: DnsOutcome::Unreachable,
        icmp: Some(Box::new(IcmpError {
            at_ns: plain.start_ns + 90,
            from: [10, 0, 0, 53].into(),
            about: Side::Client,
            kind: 3,
            code: 3,
            mtu: None,
        })),
        ..plain
    };
    writer.apply(&Event::Dns(Box::new(exchange))).unwrap();
    writer.commit(START).unwrap();
    for sql in [
        "SELECT COUNT(*) FROM dns_exchange_1 WHERE outcome = 5 AND error_kind = 3997 AND icmp = '90,client,3,3,,10.0.0.53'",
        "SELECT count FROM rollup_1 WHERE method = 'DNS' AND kind = 3997",
    ] {
        assert_eq!(writer.number(sql), 1, "{sql}");
    }
}

#[test]
fn exchanges_are_rows_and_counted_by_response_code() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    for (key, rcode) in [(1, Some(0)), (2, Some(3)), (3, Some(3)), (4, None)] {
        let exchange = fixture.dns(key, rcode);
        writer.apply(&Event::Dns(Box::new(exchange))).unwrap();
    }
    writer.commit(START).unwrap();
    for (sql, expected) in [
        (
            "SELECT COUNT(*) FROM dns_rows(1) WHERE id BETWEEN 1 AND 4",
            4,
        ),
        (
            "SELECT answer_delta_ns FROM dns_rows(1) WHERE id = 1",
            1_000,
        ),
        (
            "SELECT minimum_ttl_s FROM dns_rows(1) WHERE dns_answers = '10.0.0.2,10.0.0.3' AND id = 1",
            60,
        ),
        (
            "SELECT COUNT(*) FROM dns_rows(1) WHERE aliases = 'b.example'",
            3,
        ),
        (
            "SELECT COUNT(*) FROM dns_rows(1) WHERE error_kind = 3003 AND rcode = 3",
            2,
        ),
        ("SELECT outcome FROM dns_rows(1) WHERE error_kind = 3999", 2),
        (
            "SELECT count FROM rollup_1 WHERE kind = 3000 AND method = 'DNS'",
            1,
        ),
        ("SELECT SUM(count) FROM rollup_1 WHERE kind = 3003", 2),
        (
            "SELECT value FROM meta WHERE key = 'next_dns_exchange_id'",
            5,
        ),
    ] {
        let found = if sql.contains("value") {
            writer.number(
                "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_dns_exchange_id'",
            )
        } else {
            writer.number(sql)
        };
        assert_eq!(found, expected, "{sql}");
    }
}

#[test]
fn what_is_no_failure_is_packed_and_its_processes_stay() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    let key = ProcessKey {
        pid: 100,
        start_boot_ns: 5,
    };
    for pid in [100, 101] {
        writer.apply(&fixture.process(pid)).unwrap();
    }
    for number in 1..=600 {
        let rcode = if number % 100 == 0 { 3 } else { 0 };
        let mut exchange = fixture.dns(number, Some(rcode));
        exchange.server.process = (number == 299).then_some(key);
        writer.apply(&Event::Dns(Box::new(exchange))).unwrap();
    }
    writer.commit(START).unwrap();
    for (sql, expected) in [
        ("SELECT COUNT(*) FROM dns_exchange_1", 6),
        ("SELECT SUM(row_count) FROM dns_exchange_pack_1", 594),
        ("SELECT COUNT(*) FROM dns_exchange_pack_1", 3),
        ("SELECT SUM(id) FROM dns_rows(1)", 600 * 601 / 2),
    ] {
        assert_eq!(writer.number(sql), expected, "{sql}");
    }
    writer.forget_keys();
    for pid in 1_000..21_000 {
        writer.apply(&fixture.process(pid)).unwrap();
    }
    writer.commit(START).unwrap();
    writer.forget_keys();
    writer.retain(START + 100 * SECOND).unwrap();
    // The one that a pack names.
    assert_eq!(writer.number("SELECT SUM(pid) FROM process"), 100);
    drop(writer);
    let writer = fixture.writer(START + SECOND);
    assert_eq!(writer.state.segment.others, 600);
}

#[test]
fn ids_go_on_after_a_restart_and_with_another_reader() {
    let mut fixture = Fixture::new();
    for first in [1, 3] {
        let mut writer = fixture.writer(START);
        let exchange = Event::Dns(Box::new(fixture.dns(1, Some(0))));
        writer.apply(&exchange).unwrap();
        writer.commit(START).unwrap();
        writer.forget_keys();
        writer.apply(&exchange).unwrap();
        writer.commit(START).unwrap();
        assert_eq!(writer.number("SELECT MAX(id) FROM dns_rows(1)"), first + 1);
    }
}

#[test]
fn a_connection_names_the_exchange_it_was_found_by() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    let exchange = fixture.dns(6, Some(0));
    let Event::Connection(mut connection) = fixture.connection(1, CloseReason::Open) else {
        unreachable!()
    };
    connection.resolution = Some(Box::new(Resolution {
        exchange: exchange.key,
        name: fixture.name("a.example"),
        before_ns: 40,
        asked_by: AskedBy::Namespace,
    }));
    writer.apply(&Event::Dns(Box::new(exchange))).unwrap();
    writer.apply(&Event::Connection(connection)).unwrap();
    writer.commit(START).unwrap();
    assert_eq!(
        writer.number(
            "SELECT d.id FROM connection_resolution r JOIN dns_rows(1) d ON d.id = r.dns_exchange_id \
             WHERE r.connection_id = 1 AND r.before_ns = 40 AND r.name = d.dns_question_name"
        ),
        6
    );
}

#[test]
fn a_flow_is_one_row_wherever_it_began() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply(&fixture.udp_flow(1, 5)).unwrap();
    writer.commit(START).unwrap();
    assert!(writer.roll(START).unwrap());
    writer.apply(&fixture.udp_flow(1, 9)).unwrap();
    writer.apply(&fixture.udp_flow(2, 1)).unwrap();
    writer.commit(START).unwrap();
    assert_eq!(
        writer.number("SELECT client_bytes FROM udp_flow_1 WHERE client_packets = 9"),
        900
    );
    assert_eq!(writer.number("SELECT COUNT(*) FROM udp_flow_2"), 1);
}

#[test]
fn segments_of_dns_alone_are_dropped_too() {
    let mut fixture = Fixture::new();
    let mut options = fixture.options();
    options.segment_rows = 4;
    options.max_age = std::time::Duration::from_secs(10);
    let mut writer = crate::Writer::open(options, START).unwrap();
    for key in 1..=8 {
        let exchange = fixture.dns(key, Some(0));
        writer.apply(&Event::Dns(Box::new(exchange))).unwrap();
        writer.commit(START + key * SECOND).unwrap();
    }
    assert_eq!(writer.number("SELECT COUNT(*) FROM segment"), 3);
    let retained = writer.retain(START + 60 * SECOND).unwrap();
    assert_eq!(retained.segments, 2);
    assert_eq!(
        writer.number("SELECT COUNT(*) FROM sqlite_master WHERE name LIKE 'dns_exchange__'"),
        1
    );
}
