//! TLS: handshakes of OpenSSL's and Go's, captured by `make_captures.py`; what is said in clear, and what failed.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]
#![allow(clippy::indexing_slicing, reason = "what is not there fails the test")]

mod hostile;
mod support;

use headwater_protocols::http1::Direction;
use headwater_protocols::tls::{
    ClientCertificate, Facts, Failure, Observer, Resumption, Stage, alert_name, cipher_name,
    version_name,
};

use support::{ALL, How, connections, play, seen};

#[test]
fn tls_1_3() {
    for how in ALL {
        let observer = seen("tls13", how);
        let facts = observer.facts();
        let client = facts.client.as_ref().unwrap();
        assert_eq!(client.versions, [0x0304, 0x0303, 0x0302, 0x0301]);
        assert_eq!(client.alpn, [&b"h2"[..], b"http/1.1"]);
        assert_eq!(
            client.server_name.as_deref(),
            Some(&b"shop.example.test"[..])
        );
        assert!(!client.has_ech && !client.offers_resumption && !client.offers_early_data);
        assert_eq!(client.ja4, "t13d3111h2_e8f1e7e78f70_1f22a2ca17c4");
        let server = facts.server.as_ref().unwrap();
        assert_eq!(version_name(server.version), Some("TLS 1.3"));
        assert_eq!(cipher_name(server.cipher), Some("TLS_AES_256_GCM_SHA384"));
        // It is encrypted, and so are certificates.
        assert_eq!(server.alpn, None);
        assert!(facts.certificates.is_empty() && facts.resumption.is_none() && !facts.is_retried);
        assert!(facts.done_ns.unwrap() > facts.begun_ns, "{how:?}");
        assert_eq!(observer.failure(true), None, "{how:?}");
        assert_eq!(observer.held_bytes(), 0);
    }
}

#[test]
fn tls_1_2() {
    for how in ALL {
        let observer = seen("tls12", how);
        let facts = observer.facts();
        assert_eq!(facts.client.as_ref().unwrap().versions, [0x0303]);
        let server = facts.server.as_ref().unwrap();
        assert_eq!(server.version, 0x0303);
        assert_eq!(
            cipher_name(server.cipher),
            Some("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
        );
        assert_eq!(server.alpn.as_deref(), Some(&b"http/1.1"[..]));
        assert_eq!((facts.certificates.len(), facts.certificate_count), (2, 2));
        let [leaf, authority] = &facts.certificates[..] else {
            panic!("two certificates");
        };
        assert_eq!(leaf.subject.as_deref(), Some(&b"shop.example.test"[..]));
        assert_eq!(leaf.issuer.as_deref(), Some(&b"Headwater Test CA"[..]));
        assert_eq!(
            leaf.names,
            [&b"shop.example.test"[..], b"*.api.example.test"]
        );
        assert_eq!(
            (leaf.not_before, leaf.not_after),
            (1_577_836_800, 4_102_444_800)
        );
        assert_eq!((leaf.key.kind, leaf.key.bits), ("ECDSA P-256", None));
        assert!(!leaf.is_self_issued && authority.is_self_issued);
        assert_eq!(facts.is_name_right, Some(true));
        assert_eq!(facts.client_certificate, None);
        assert!(facts.done_ns.unwrap() > facts.begun_ns);
        assert_eq!(observer.failure(true), None, "{how:?}");
    }
}

#[test]
fn older_ones_and_other_keys() {
    for how in ALL {
        let observer = seen("tls11", how);
        let facts = observer.facts();
        assert_eq!(facts.version(), Some(0x0302));
        assert_eq!(facts.client.as_ref().unwrap().server_name, None);
        assert_eq!(facts.is_name_right, None);
        assert!(
            facts.done_ns.is_some() && observer.failure(true).is_none(),
            "{how:?}"
        );

        let observer = seen("tls12-rsa", how);
        let facts = observer.facts();
        assert_eq!(
            (
                facts.certificates[0].key.kind,
                facts.certificates[0].key.bits
            ),
            ("RSA", Some(2048))
        );
        // The client did not look.
        assert_eq!(facts.is_name_right, Some(false));
        assert!(
            facts.done_ns.is_some() && observer.failure(true).is_none(),
            "{how:?}"
        );
    }
}

#[test]
fn sessions_are_resumed() {
    for (name, resumption) in [
        ("tls12-resumed", Resumption::Session),
        ("tls12-ticket", Resumption::Session),
        ("tls13-resumed", Resumption::Psk),
    ] {
        for how in ALL {
            let all = connections(name);
            let [first, second] = &all[..] else {
                panic!("two connections");
            };
            let (first, second) = (play(first, how), play(second, how));
            assert_eq!(first.facts().resumption, None, "{name} {how:?}");
            assert_eq!(
                second.facts().resumption,
                Some(resumption),
                "{name} {how:?}"
            );
            assert!(second.facts().client.as_ref().unwrap().offers_resumption);
            assert!(second.facts().certificates.is_empty());
            for observer in [first, second] {
                assert!(observer.facts().done_ns.is_some(), "{name} {how:?}");
                assert_eq!(observer.failure(true), None, "{name} {how:?}");
            }
        }
    }
}

#[test]
fn another_hello_is_asked_for() {
    for how in ALL {
        let observer = seen("tls13-retried", how);
        let facts = observer.facts();
        assert!(facts.is_retried && facts.done_ns.is_some(), "{how:?}");
        assert_eq!(facts.version(), Some(0x0304));
        assert_eq!(observer.failure(true), None);
    }
}

#[test]
fn alerts_in_clear_are_named() {
    for (name, by, alert) in [
        ("tls13-unknown-ca", Direction::ToServer, "unknown_ca"),
        ("tls12-unknown-ca", Direction::ToServer, "unknown_ca"),
        ("tls12-self-signed", Direction::ToServer, "unknown_ca"),
        ("tls12-expired", Direction::ToServer, "certificate_expired"),
        ("tls12-wrong-name", Direction::ToServer, "bad_certificate"),
        ("protocol-version", Direction::ToClient, "protocol_version"),
        ("no-shared-cipher", Direction::ToClient, "handshake_failure"),
        ("no-alpn", Direction::ToClient, "no_application_protocol"),
        (
            "unrecognized-name",
            Direction::ToClient,
            "unrecognized_name",
        ),
        (
            "tls12-client-certificate-missing",
            Direction::ToClient,
            "handshake_failure",
        ),
    ] {
        for how in ALL {
            let observer = seen(name, how);
            // The alert says it, whether or not the end has been seen.
            for has_ended in [false, true] {
                let Some(Failure::Alert(direction, description)) = observer.failure(has_ended)
                else {
                    panic!("{name} {how:?} {:?}", observer.failure(has_ended));
                };
                assert_eq!(
                    (direction, alert_name(description)),
                    (by, Some(alert)),
                    "{name} {how:?}"
                );
            }
            assert_eq!(observer.facts().done_ns, None);
        }
    }
    let facts = |name| seen(name, How::Live).facts().clone();
    assert_eq!(
        facts("tls12-expired").certificates[0].not_after,
        1_609_459_200
    );
    assert!(facts("tls12-self-signed").certificates[0].is_self_issued);
    assert_eq!(facts("tls12-wrong-name").is_name_right, Some(false));
    assert_eq!(
        facts("tls12-client-certificate-missing").client_certificate,
        Some(ClientCertificate::None)
    );
    assert_eq!(
        facts("tls12-client-certificate").client_certificate,
        Some(ClientCertificate::Sent(2))
    );
}

#[test]
fn whose_certificate_it_is_may_not_be_known() {
    let whole = connections("tls12-wrong-name").remove(0);
    let names = &b"\x55\x1d\x11\x04\x29\x30\x27\x82"[..];
    // What stands in which segment, and what in its place.
    for (at, found, other, is_name_right) in [
        (1, names, names, Some(false)),
        // Alternative names that are no list, one that is no name, two lists, and none at all.
        (1, names, b"\x55\x1d\x11\x04\x29\x31\x27\x82", None),
        (1, names, b"\x55\x1d\x11\x04\x29\x30\x27\x8e", None),
        (1, b"\x55\x1d\x0e", b"\x55\x1d\x11", None),
        (1, b"\x55\x1d\x11", b"\x55\x1d\x7f", Some(false)),
        // An address.
        (0, b"other.example.test", b"2001:db8::1:2:3:45", None),
    ] {
        let mut connection = whole.clone();
        let payload = &mut connection[at].payload;
        let mut places = payload.windows(found.len());
        let place = places.position(|bytes| bytes == found).unwrap();
        payload[place..][..found.len()].copy_from_slice(other);
        let observer = play(&connection, How::Whole);
        assert_eq!(observer.facts().certificates.len(), 1, "{other:x?}");
        assert_eq!(observer.facts().is_name_right, is_name_right, "{other:x?}");
    }
}

#[test]
fn an_encrypted_alert_is_not_named() {
    for (name, by) in [
        ("tls13-unknown-ca-encrypted", Direction::ToServer),
        ("tls13-client-certificate-missing", Direction::ToClient),
    ] {
        for how in ALL {
            let observer = seen(name, how);
            assert_eq!(observer.failure(false), None, "{name} {how:?}");
            assert_eq!(
                observer.failure(true),
                Some(Failure::EncryptedAlert(by)),
                "{name} {how:?}"
            );
        }
    }
}

#[test]
fn a_fatal_alert_is_told_behind_any_number_of_others() {
    let hello = connections("tls12").remove(0).remove(0);
    let mut observer = Observer::default();
    observer.bytes(hello.direction, 1, &hello.payload);
    for at_ns in 2..10 {
        observer.bytes(Direction::ToClient, at_ns, &[0x15, 3, 3, 0, 2, 1, 112]);
    }
    for (at_ns, description) in [(10, 40), (11, 80)] {
        let alert = [0x15, 3, 3, 0, 2, 2, description];
        observer.bytes(Direction::ToClient, at_ns, &alert);
    }
    let failure = Some(Failure::Alert(Direction::ToClient, 40));
    assert_eq!(observer.failure(true), failure);
    let alerts = &observer.facts().alerts;
    assert_eq!(alerts.len(), Facts::MOST_ALERTS);
    assert!(alerts.is_sorted_by_key(|alert| alert.at_ns));
}

/// What a client said and when it left may be known before it is known how much each end has sent.
#[test]
fn a_farewell_is_no_failure() {
    let connection = connections("tls13-no-data").remove(0);
    for (left_ns, failure) in [
        (50, None),
        (70, Some(Failure::EncryptedAlert(Direction::ToClient))),
    ] {
        let mut observer = Observer::default();
        for (at_ns, segment) in (1..).zip(&connection[..2]) {
            observer.bytes(segment.direction, at_ns, &segment.payload);
        }
        observer.closed(Direction::ToServer, left_ns);
        observer.skipped(Direction::ToServer, 40, 64 + 24);
        observer.skipped(Direction::ToClient, 60, 24);
        assert_eq!(observer.failure(true), failure, "{left_ns}");
    }
}

/// A server that says goodbye first, right behind the handshake, is answered; one that refuses is not.
#[test]
fn a_farewell_that_is_answered_is_no_failure() {
    let alert = [&[23, 3, 3, 0, 19][..], &[7; 19]].concat();
    for (is_answered, failure) in [
        (true, None),
        (false, Some(Failure::EncryptedAlert(Direction::ToClient))),
    ] {
        let mut observer = Observer::default();
        for (at_ns, segment) in (1..).zip(&connections("tls13-no-data").remove(0)[..3]) {
            observer.bytes(segment.direction, at_ns, &segment.payload);
        }
        assert!(observer.facts().done_ns.is_some());
        observer.bytes(Direction::ToClient, 60, &alert);
        if is_answered {
            observer.bytes(Direction::ToServer, 70, &alert);
        }
        assert_eq!(observer.failure(true), failure);
    }
}

/// Records of the client's behind the ServerHello are early data, perhaps: neither its Finished nor an alert.
#[test]
fn where_early_data_ends_is_not_known() {
    let sealed = |length: u8| {
        let content = vec![7; usize::from(length)];
        [&[23, 3, 3, 0, length][..], &content].concat()
    };
    let server_hello = server_hello();
    for (extensions, is_early) in [(&[0, 43, 0, 3, 2, 3, 4][..], false), (&EARLY_DATA, true)] {
        for is_seen in [true, false] {
            for length in [19, 200] {
                let mut observer = Observer::default();
                observer.bytes(Direction::ToServer, 1, &client_hello(extensions));
                observer.bytes(Direction::ToServer, 2, &sealed(100));
                observer.bytes(Direction::ToClient, 3, &server_hello);
                let client = observer.facts().client.as_ref().unwrap();
                assert_eq!(client.offers_early_data, is_early);
                assert_eq!(observer.facts().version(), Some(0x0304));
                // Nothing came behind that.
                let failure = Some(Failure::Cut(Stage::NotFinished));
                assert_eq!(observer.failure(true), failure);
                if is_seen {
                    observer.bytes(Direction::ToServer, 4, &sealed(length));
                } else {
                    observer.turn(Direction::ToServer);
                    observer.skipped(Direction::ToServer, 4, 5 + u64::from(length));
                }
                let done_ns = (!is_early && length == 200).then_some(4);
                assert_eq!(observer.facts().done_ns, done_ns, "{is_seen} {length}");
                let alert = Failure::EncryptedAlert(Direction::ToServer);
                let failure = (!is_early && length == 19).then_some(alert);
                assert_eq!(observer.failure(true), failure, "{is_seen} {length}");
            }
        }
    }
}

const EARLY_DATA: [u8; 11] = [0, 43, 0, 3, 2, 3, 4, 0, 42, 0, 0];

/// A ClientHello with these extensions.
fn client_hello(extensions: &[u8]) -> Vec<u8> {
    let suites = [0, 0, 2, 0x13, 1, 1, 0];
    hello(1, &suites, extensions)
}

/// A ServerHello of TLS 1.3.
fn server_hello() -> Vec<u8> {
    hello(2, &[0, 0x13, 1, 0], &[0, 43, 0, 2, 3, 4])
}

fn hello(kind: u8, middle: &[u8], extensions: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let body = [
        &[3, 3][..],
        &[7; 32],
        middle,
        &length(extensions),
        extensions,
    ]
    .concat();
    let message = [&[kind, 0][..], &length(&body), &body].concat();
    [&[0x16, 3, 3][..], &length(&message), &message].concat()
}

#[test]
fn what_ends_without_data_has_not_failed() {
    for name in ["tls13-no-data", "tls12-no-data", "tls12-client-certificate"] {
        for how in ALL {
            let observer = seen(name, how);
            assert!(observer.facts().done_ns.is_some(), "{name} {how:?}");
            assert_eq!(observer.failure(true), None, "{name} {how:?}");
        }
    }
}

#[test]
fn what_is_cut_has_failed_when_it_has_ended() {
    for how in ALL {
        let observer = seen("cut", how);
        assert_eq!(observer.failure(false), None);
        assert_eq!(
            observer.failure(true),
            Some(Failure::Cut(Stage::NotAnswered))
        );
        // Cut anywhere before the client's second flight.
        for name in ["tls12", "tls13"] {
            let connection = connections(name).remove(0);
            let observer = play(&connection[..2], how);
            assert_eq!(observer.failure(false), None);
            assert_eq!(
                observer.failure(true),
                Some(Failure::Cut(Stage::NotFinished)),
                "{name} {how:?}"
            );
        }
    }
}

#[test]
fn one_end_speaks_something_else() {
    for how in ALL {
        let observer = seen("plain-server", how);
        assert_eq!(
            observer.failure(false),
            Some(Failure::ServerSpokeNoTls),
            "{how:?}"
        );
    }
    let mut observer = Observer::default();
    observer.bytes(Direction::ToClient, 1, &[0x15, 3, 1, 0, 2, 2, 10]);
    // What the client says may not have come.
    assert_eq!(observer.failure(true), None);
    let mut told = Observer::default();
    told.client_spoke_no_tls();
    told.bytes(Direction::ToClient, 1, &[0x15, 3, 1, 0, 2, 2, 10]);
    assert_eq!(told.failure(false), Some(Failure::ClientSpokeNoTls));
    observer.bytes(Direction::ToServer, 2, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(observer.failure(true), Some(Failure::ClientSpokeNoTls));
}

/// As of a turn of which little is copied.
#[test]
fn a_hello_seen_in_part_is_one() {
    for (name, failure) in [
        (
            "protocol-version",
            Some(Failure::Alert(Direction::ToClient, 70)),
        ),
        ("cut", Some(Failure::Cut(Stage::NotAnswered))),
        ("tls12", None),
        ("tls13", None),
    ] {
        let mut connection = connections(name).remove(0);
        let hello = connection.remove(0);
        let mut observer = Observer::default();
        observer.bytes(hello.direction, hello.at_ns, &hello.payload[..64]);
        let rest = hello.payload.len() - 64;
        observer.skipped(hello.direction, hello.at_ns, rest as u64);
        for segment in connection {
            observer.bytes(segment.direction, segment.at_ns, &segment.payload);
            if segment.is_fin {
                observer.closed(segment.direction, segment.at_ns);
            }
        }
        assert_eq!(observer.facts().client, None);
        assert_eq!(observer.failure(true), failure, "{name}");
    }
}
