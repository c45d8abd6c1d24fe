//! Connections by id: the story, the elements beside it, and what is not known.

use headwater_query::{ConnectionDetail, QueryError};

use crate::fixture::{Fixture, Row, SECOND};
use crate::never;

/// A client that sent its SYN again once, and retransmitted; marked EF, with a peer of which only packets are known.
const CLIENT: &str = "6,2,64,184,,,0,15,64240,1460,7,0,503316480,1,50000000,80000000,,,2,,,1,,,,,90000000,5,0,0,82,203,0,20500,\
                      19000,3,6,7,2,1,1,0,0,0,1448,7,1,0";
const SERVER: &str = "7,2,53,0,,,40000000,5,65535,1400,,,,0,60000000,70000000,,,,,,3,,,2";

async fn told(fixture: &Fixture, id: &str, most: usize) -> ConnectionDetail {
    let answer = fixture.store().connection(id, most, &never()).await;
    answer.unwrap().value
}

fn element<'c>(connection: &'c ConnectionDetail, name: &str) -> [Option<&'c str>; 2] {
    let found = connection.elements.iter().find(|one| one.name == name);
    found.map_or([None, None], |one| {
        [one.client.as_deref(), one.server.as_deref()]
    })
}

fn story(connection: &ConnectionDetail) -> Vec<(Option<i64>, &str, &str)> {
    let lines = connection.story.iter();
    lines
        .map(|line| (line.after_ns, line.by, line.what.as_str()))
        .collect()
}

fn closed(fixture: &Fixture, reason: &str, client: &str, server: &str) {
    let start_ns = fixture.now_ns - 60 * SECOND;
    let sql = "UPDATE connection SET start_ns = ?1, end_ns = ?1 + 100000000, close_reason = ?2, client_tcp = ?3, server_tcp = ?4, \
               server_local = 0, joined_midstream = 0 WHERE id = 1";
    fixture
        .writer
        .execute(sql, rusqlite::params![start_ns, reason, client, server])
        .unwrap();
}

#[tokio::test]
async fn a_connection_is_a_story() {
    let mut fixture = Fixture::new();
    closed(&fixture, "fin", CLIENT, SERVER);
    let start_ns = fixture.now_ns - 60 * SECOND;
    let rows: Vec<Row> = (0..9)
        .map(|number| Row {
            start_ns: start_ns + 50_000_000 + number * 1_000_000,
            ..Row::default()
        })
        .collect();
    fixture.commit(&rows);
    fixture
        .writer
        .execute_batch(
            "UPDATE exchange_1 SET ordinal = id - 1;
             INSERT INTO connection_resolution VALUES (1, 7, 'api.internal', 40000000, 'process')",
        )
        .unwrap();
    let connection = told(&fixture, " C_K7Q21 ", 4).await;
    assert_eq!(connection.id, "c_k7q21");
    assert_eq!(connection.handshake_ns, Some(40_000_000));
    assert_eq!(connection.handshake_seen_at, Some("client"));
    assert_eq!(connection.exchange_count, 9);
    let lines = story(&connection);
    let expected = [
        (Some(-40_000_000), "client", "DNS: the client's own process"),
        (Some(0), "client", "SYN (MSS 1460, window scale 7"),
        (None, "client", "SYN sent again 1 times"),
        (
            Some(40_000_000),
            "server",
            "SYN-ACK 40.000 ms after the SYN",
        ),
        (Some(50_000_000), "client", "first payload"),
        (Some(50_000_000), "client", "exchange: 200"),
        (Some(51_000_000), "client", "exchange: 200"),
        (None, "", "5 more exchanges"),
        (Some(57_000_000), "client", "exchange: 200"),
        (Some(58_000_000), "client", "exchange: 200"),
        (Some(60_000_000), "server", "first payload"),
        (Some(70_000_000), "server", "FIN"),
        (Some(80_000_000), "client", "FIN"),
        (
            Some(90_000_000),
            "client",
            "its socket closed, out of FIN-WAIT-2",
        ),
        (None, "client", "2 packets sent again"),
        (None, "client", "1 times it offered no window"),
        (None, "server", "1 packets arrived out of order"),
        (None, "server", "3 times it offered no window"),
        (
            None,
            "server",
            "2 packets marked with Congestion Experienced",
        ),
        (
            Some(100_000_000),
            "",
            "fin: closed in order: FIN by the server, then by the client",
        ),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!((line.0, line.1), (expected.0, expected.1), "{lines:#?}");
        assert!(line.2.starts_with(expected.2), "{line:?} {expected:?}");
    }
    assert_eq!(
        connection.story[0].captured.as_deref(),
        Some("api.internal")
    );
    assert_eq!(connection.story[0].id.as_deref(), Some("d_k7q27"));
    assert_eq!(connection.story[5].id.as_deref(), Some("x_k7q21"));
}

#[tokio::test]
async fn elements_stand_side_by_side() {
    let fixture = Fixture::new();
    closed(&fixture, "fin", CLIENT, SERVER);
    let connection = told(&fixture, "c_k7q21", 4).await;
    for (name, client, server) in [
        ("bytes", Some("10"), Some("20")),
        ("packets", Some("7"), Some("6")),
        ("retransmits", Some("3"), None),
        ("out_of_order", None, Some("1")),
        ("zero_windows", Some("1"), Some("3")),
        ("smoothed_round_trip_ms", Some("20.500"), None),
        ("least_round_trip_ms", Some("19.000"), None),
        ("hop_limit", Some("64 as sent"), Some("53 as it arrived")),
        ("dscp", Some("46 EF"), Some("0 CS0")),
        ("dont_fragment", Some("yes"), Some("yes")),
        ("mss", Some("1460"), Some("1400")),
        ("window_scale", Some("7"), Some("absent")),
        ("sack_permitted", Some("yes"), Some("yes")),
        ("timestamps", Some("yes"), Some("no")),
        ("fast_open", Some("asks for a cookie"), None),
        ("other_options", Some("MPTCP (30)"), None),
        ("ecn", Some("offered; negotiated"), Some("accepted")),
        ("congestion_experienced", Some("0"), Some("2")),
        ("state_at_close", Some("FIN-WAIT-2"), None),
        ("flow_label", None, None),
    ] {
        assert_eq!(element(&connection, name), [client, server], "{name}");
    }
    let unknown = connection.unknown.join("\n");
    assert!(
        unknown.contains("at the server: no socket of it was seen on this machine"),
        "{unknown}"
    );
    assert!(!unknown.contains("at the client"), "{unknown}");
}

#[tokio::test]
async fn attempts_say_what_came_of_them() {
    let fixture = Fixture::new();
    let syn = "6,2,64,0,,,0,12,64240,1460,7";
    let closed_by = |error: u32, soft: u32| {
        format!(
            "{syn},,,0,,,,,0,,,0,,,,,95000000,2,{error},{soft},0,0,0,,,5,0,6,0,0,0,0,0,0,536,0,0,5"
        )
    };
    let answered = "7,2,53,0,,,,,,,,,,,,,30000000,,,,,,,,,1";
    for (reason, client, server, said) in [
        (
            "refused",
            closed_by(111, 0),
            answered,
            "was answered by RST after 100.0 ms",
        ),
        ("refused", closed_by(111, 0), "", "told by ICMP"),
        (
            "timed_out",
            closed_by(110, 113),
            "",
            "no answer came to 6 SYNs in 100.0 ms",
        ),
        (
            "timed_out",
            closed_by(110, 113),
            "",
            "ICMP told EHOSTUNREACH",
        ),
        ("unreachable", closed_by(113, 0), "", "with EHOSTUNREACH"),
        (
            "gave_up",
            closed_by(0, 0),
            "",
            "6 SYNs unanswered: a time-out of its own",
        ),
        (
            "open",
            syn.to_owned(),
            "",
            "no answer to one SYN was seen as yet",
        ),
    ] {
        closed(&fixture, reason, &client, server);
        let connection = told(&fixture, "c_k7q21", 4).await;
        let words = &connection.close_explained;
        assert!(words.contains(said), "{reason}: {words}");
        assert_eq!(connection.handshake_ns, None);
    }
}

#[tokio::test]
async fn the_message_of_icmp_explains_the_end() {
    let fixture = Fixture::new();
    let syn = "6,2,64,0,,,0,12,64240,1460,7";
    let prohibited = "ICMP from 10.0.0.1: destination unreachable, communication administratively prohibited (type 3, code 13)";
    for (reason, icmp, said) in [
        ("unreachable", "3,13,,10.0.0.1", prohibited),
        ("timed_out", "3,13,,10.0.0.1", prohibited),
        ("gave_up", "3,13,,10.0.0.1", prohibited),
        ("open", "3,13,,10.0.0.1", prohibited),
        (
            "refused",
            "1,4,,fd00::1",
            "ICMPv6 from fd00::1: destination unreachable, port unreachable (type 1, code 4)",
        ),
    ] {
        closed(&fixture, reason, syn, "");
        let column = format!("2 2000000,client,{icmp} 3000000,client,{icmp}");
        fixture
            .writer
            .execute("UPDATE connection SET icmp = ?", [column])
            .unwrap();
        let connection = told(&fixture, "c_k7q21", 4).await;
        let words = &connection.close_explained;
        assert!(words.contains(said), "{reason}: {words}");
        let line = connection.story.iter().find(|line| {
            line.what
                .contains("2 times, about a packet of the client's")
        });
        let line = line.unwrap_or_else(|| panic!("{:#?}", connection.story));
        assert_eq!(line.after_ns, Some(2_000_000));
        assert!(line.what.starts_with(said), "{}", line.what);
    }
}

#[tokio::test]
async fn a_reset_names_who_and_in_which_state() {
    let fixture = Fixture::new();
    let client = CLIENT.replace(",90000000,5,0,", ",90000000,1,104,");
    let server = "7,2,53,0,,,40000000,5,65535,1400,,,,0,60000000,,95000000,,,,,,,,,1";
    closed(&fixture, "server_reset", &client, server);
    let connection = told(&fixture, "c_k7q21", 4).await;
    let words = &connection.close_explained;
    for part in [
        "RST by the server",
        "after the client's FIN",
        "the client's socket left ESTABLISHED",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert_eq!(element(&connection, "error"), [Some("ECONNRESET"), None]);
    assert_eq!(element(&connection, "resets"), [Some("0"), Some("1")]);
}

#[tokio::test]
async fn what_was_not_seen_is_said() {
    let fixture = Fixture::new();
    let connection = told(&fixture, "c_k7q22", 4).await;
    assert!(connection.joined_midstream);
    assert_eq!(
        connection.client.peer_as_seen.as_deref(),
        Some("10.0.0.9:8080")
    );
    let unknown = connection.unknown.join("\n");
    for part in [
        "the recording began after it",
        "at the client: the end of its socket was not seen",
    ] {
        assert!(unknown.contains(part), "{part}: {unknown}");
    }
    fixture
        .writer
        .execute("UPDATE recorder_run SET source = 'replay'", [])
        .unwrap();
    let connection = told(&fixture, "c_k7q22", 4).await;
    let unknown = connection.unknown.join("\n");
    assert!(
        unknown.contains("capture files hold packets only"),
        "{unknown}"
    );
}

#[tokio::test]
async fn ids_that_lead_nowhere_say_why() {
    let fixture = Fixture::new();
    fixture
        .writer
        .execute_batch(
            "INSERT INTO meta VALUES ('next_connection_id', '3'); DELETE FROM connection WHERE id = 2",
        )
        .unwrap();
    let store = fixture.store();
    for (id, expected) in [
        ("c_k7q22", "retention has dropped it"),
        ("c_k7q23", "never given out"),
        ("c_k7q20", "never given out"),
        (
            "c_aaaa1",
            "belongs to another store; ids of this one begin with c_k7q2",
        ),
        ("x_k7q21", "this is an exchange's id, for get_exchange"),
        ("d_k7q21", "this is a DNS exchange's id, for get_exchange"),
        ("connection 1", "a connection's id looks like c_k7q2"),
    ] {
        let error = store.connection(id, 4, &never()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{id}: {error}");
        assert!(!matches!(error, QueryError::Sql(_)), "{id}");
    }
}
