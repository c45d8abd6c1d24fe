//! What no honest end sends: nothing panics, what is held is bounded, and nothing is made up.

use headwater_protocols::http1::Direction::{ToClient, ToServer};
use headwater_protocols::tls::ClientCertificate::{Asked, Sent};
use headwater_protocols::tls::{Facts, Observer};

use crate::support::{ALL, connections, play};

const NAMES: [&str; 5] = [
    "tls12",
    "tls13",
    "tls13-retried",
    "tls12-client-certificate",
    "tls12-expired",
];

#[test]
fn any_byte_may_be_another() {
    for name in NAMES {
        let connection = connections(name).remove(0);
        for (at, segment) in connection.iter().enumerate().take(4) {
            for place in 0..segment.payload.len() {
                let mut changed = connection.clone();
                changed[at].payload[place] ^= 1 << (place % 8);
                for how in [ALL[0], ALL[2]] {
                    let observer = play(&changed, how);
                    let _ = observer.failure(true);
                }
            }
        }
    }
}

#[test]
fn anything_may_be_missing() {
    for name in NAMES {
        let connection = connections(name).remove(0);
        let whole = play(&connection, ALL[0]).facts().clone();
        for at in 0..connection.len().min(5) {
            let missing = &connection[at];
            for from in (0..missing.payload.len()).step_by(7) {
                let mut observer = Observer::default();
                for (place, segment) in connection.iter().enumerate() {
                    let (direction, at_ns) = (segment.direction, segment.at_ns);
                    if place != at {
                        observer.bytes(direction, at_ns, &segment.payload);
                        continue;
                    }
                    observer.bytes(direction, at_ns, &segment.payload[..from]);
                    let rest = segment.payload.len() - from;
                    observer.skipped(direction, at_ns, rest.min(9) as u64);
                    observer.bytes(direction, at_ns, &segment.payload[from + rest.min(9)..]);
                }
                is_less(observer.facts(), &whole, &format!("{name} {at} {from}"));
                // What is known may be less; the handshake did not fail.
                if name != "tls12-expired" {
                    assert_eq!(observer.failure(true), None, "{name} {at} {from}");
                }
            }
        }
    }
}

/// What is known of a handshake of which something is missing is less than what is known of the whole, not something else.
fn is_less(facts: &Facts, whole: &Facts, place: &str) {
    let is_or = |is_none: bool, is_same: bool| assert!(is_none || is_same, "{place} {facts:?}");
    is_or(facts.client.is_none(), facts.client == whole.client);
    is_or(facts.server.is_none(), facts.server == whole.server);
    is_or(
        facts.resumption.is_none(),
        facts.resumption == whole.resumption,
    );
    is_or(!facts.is_retried, whole.is_retried);
    is_or(
        facts.is_name_right.is_none(),
        facts.is_name_right == whole.is_name_right,
    );
    is_or(false, whole.certificates.starts_with(&facts.certificates));
    is_or(
        facts.certificate_count == 0,
        facts.certificate_count == whole.certificate_count
            || facts.is_chain_cut && facts.certificate_count < whole.certificate_count,
    );
    let is_fewer = match (facts.client_certificate, whole.client_certificate) {
        (Some(Sent(some)), Some(Sent(all))) => some <= all,
        (of, of_whole) => of == of_whole,
    };
    is_or(
        matches!(facts.client_certificate, None | Some(Asked)),
        is_fewer,
    );
    let mut alerts = whole
        .alerts
        .iter()
        .map(|alert| (alert.direction, alert.said));
    // A farewell behind the handshake is seen where its end was not.
    for alert in facts.alerts.iter().filter(|alert| alert.said.is_some()) {
        let said = (alert.direction, alert.said);
        is_or(false, alerts.any(|other| other == said));
    }
}

/// A hole that begins in one message and ends in another, in one record.
#[test]
fn nobody_knows_where_a_message_begins_behind_a_hole() {
    // What looks like a CertificateRequest, in the middle of something else, and behind what the hole is in.
    let looks = [13, 0, 0, 1, 1];
    for (hole, is_one) in [
        (10, false),
        (19, false),
        (20, true),
        (21, false),
        (40, false),
    ] {
        let mut observer = Observer::default();
        observer.bytes(ToClient, 1, &[0x16, 3, 3, 0, 84, 22, 0, 0, 20]);
        observer.skipped(ToClient, 1, hole);
        observer.bytes(ToClient, 2, &looks);
        let asked = observer.facts().client_certificate;
        assert_eq!(asked, is_one.then_some(Asked), "{hole}");
    }
}

/// What is known stays, and is counted where it is much.
#[test]
fn long_chains_are_held() {
    let connection = connections("tls12").remove(0);
    let answer = &connection[1].payload;
    let whole = play(&connection, ALL[0]);
    assert_eq!(whole.held_bytes(), 0);
    // The record of the server's certificates, and the first of them.
    let mut records = &answer[..];
    while records[5] != 11 {
        let length = usize::from(u16::from_be_bytes([records[3], records[4]]));
        records = &records[5 + length..];
    }
    let length = usize::from(u16::from_be_bytes([records[13], records[14]]));
    let own = &records[12..15 + length];
    for (many, is_much) in [(1, false), (2, false), (16, true)] {
        let chain = own.repeat(many);
        let length = |more: usize| u16::try_from(chain.len() + more).unwrap().to_be_bytes();
        let head = [
            &[0x16, 3, 3][..],
            &length(7),
            &[11, 0],
            &length(3),
            &[0],
            &length(0),
        ]
        .concat();
        let mut observer = Observer::default();
        observer.bytes(ToServer, 1, &connection[0].payload);
        observer.bytes(ToClient, 2, &[head, chain].concat());
        let facts = observer.facts();
        assert_eq!(facts.certificates.len(), many.min(Facts::MOST_CERTIFICATES));
        assert_eq!(observer.held_bytes() > 0, is_much, "{many}");
        observer.let_go();
        assert_eq!(observer.held_bytes() > 0, is_much, "{many}");
        assert!(observer.held_bytes() < 32 << 10);
    }
}

#[test]
fn messages_may_be_many_and_small() {
    // Empty ones of no known type, and then one that asks for a certificate, over two records.
    let empty = [99, 0, 0, 0].repeat(0x1000);
    let asks = [13, 0, 0, 1, 1];
    for cut in 0..=4_u8 {
        let (begins, ends) = asks.split_at(usize::from(cut));
        let mut observer = Observer::default();
        let first = [&[0x16, 3, 3, 0x40, cut][..], &empty, begins].concat();
        observer.bytes(ToClient, 1, &first);
        assert_eq!(observer.held_bytes(), usize::from(cut));
        let second = [&[0x16, 3, 3, 0, 5 - cut][..], ends].concat();
        observer.bytes(ToClient, 2, &second);
        assert_eq!(observer.facts().client_certificate, Some(Asked), "{cut}");
    }
}

#[test]
fn what_is_said_again_is_no_news() {
    for name in NAMES {
        let connection = connections(name).remove(0);
        let mut observer = Observer::default();
        for at_ns in 1..=300 {
            // All up to the server's answer, then a request for a certificate, that there is none, and a warning.
            for segment in &connection[..2] {
                observer.bytes(segment.direction, at_ns, &segment.payload);
            }
            let record = [0x16, 3, 3, 0, 5, 13, 0, 0, 1, 1];
            observer.bytes(ToClient, at_ns, &record);
            let record = [0x16, 3, 3, 0, 7, 11, 0, 0, 3, 0, 0, 0];
            observer.bytes(ToServer, at_ns, &record);
            observer.bytes(ToServer, at_ns, &[0x15, 3, 3, 0, 2, 1, 90]);
        }
        assert!(observer.news() < 16, "{name} {}", observer.news());
    }
}

#[test]
fn a_hole_in_another_record_hides_no_message() {
    let mut observer = Observer::default();
    observer.bytes(ToClient, 1, &[0x15, 3, 3, 0, 2]);
    observer.skipped(ToClient, 1, 1);
    observer.bytes(ToClient, 2, &[112]);
    observer.bytes(ToClient, 2, &[0x16, 3, 3, 0, 5, 13, 0, 0, 1, 1]);
    assert_eq!(observer.facts().client_certificate, Some(Asked));
    assert!(observer.facts().alerts.is_empty());
}

#[test]
fn a_message_without_an_end_is_not_held() {
    let mut observer = Observer::default();
    observer.bytes(ToServer, 1, &[0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff]);
    observer.bytes(ToServer, 1, &vec![0; 0x4000 - 4]);
    for _ in 0..100 {
        for direction in [ToServer, ToClient] {
            observer.bytes(direction, 2, &[0x16, 3, 1, 0x40, 0]);
            observer.bytes(direction, 2, &vec![11; 0x4000]);
        }
        assert!(
            observer.held_bytes() <= 52 << 10,
            "{}",
            observer.held_bytes()
        );
    }
    observer.let_go();
    assert_eq!(observer.held_bytes(), 0);
}
