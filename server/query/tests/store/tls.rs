//! Handshakes of TLS: in the story of their connection, and as failures.

use headwater_query::{
    ConnectionDetail, ErrorsQuery, SqlQuery, SqlValue, Suggested, SuggestionsQuery,
};

use crate::fixture::{Fixture, Row, SECOND};
use crate::{hour, never};

const CERTIFICATE: &str =
    "ab\tshop.example.com\tA CA\t1577836800\t1609459200\t0\tRSA 2048\t1\tshop.example.com";

/// The connection becomes one of TLS.
fn handshake(fixture: &Fixture, columns: &str) {
    let at_ns = fixture.now_ns - 60 * SECOND;
    let sql = "UPDATE connection SET start_ns = ?1, end_ns = ?1 + 100000000, close_reason = 'fin', network_protocol_name = 'tls', \
               client_tcp = NULL, server_tcp = NULL WHERE id = 1";
    fixture.writer.execute(sql, [at_ns]).unwrap();
    let sql = format!("REPLACE INTO connection_tls VALUES (1, {columns})");
    fixture.writer.execute_batch(&sql).unwrap();
}

async fn told(fixture: &Fixture) -> ConnectionDetail {
    let answer = fixture.store().connection("c_k7q21", 9, &never()).await;
    answer.unwrap().value
}

#[tokio::test]
async fn a_handshake_is_told_in_its_order() {
    let fixture = Fixture::new();
    let alpn = "'h2' || char(10) || 'odd <name>'";
    handshake(
        &fixture,
        &format!(
            "NULL, NULL, 1000000, 3000000, 771, 49199, 'odd <name>', 'shop.example.com', 't13d1516h2_8daaf6152771_e5627efa2ab1', \
             {}, '772,771', {alpn}, 2, '{CERTIFICATE}', 1, '2000000,server,1,112'",
            1 + 2 + 4 + 8 + 32 + 64 + 256
        ),
    );
    let connection = told(&fixture).await;
    let lines: Vec<_> = connection
        .story
        .iter()
        .filter(|line| line.what.contains("TLS"))
        .map(|line| {
            (
                line.after_ns,
                line.by,
                line.what.as_str(),
                line.captured.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            (
                Some(1_000_000),
                "client",
                "TLS ClientHello: offers TLS 1.3, TLS 1.2; ALPN h2, (another); a session to be resumed; early data; asks for the name \
                 (SNI; with Encrypted Client Hello, or GREASE that looks like it, it may be a stand-in)",
                Some("shop.example.com")
            ),
            (
                None,
                "server",
                "TLS HelloRetryRequest: another ClientHello is asked for",
                None
            ),
            (
                None,
                "server",
                "TLS ServerHello: TLS 1.2, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, ALPN (another), the session is resumed by a session id \
                 or ticket",
                Some("odd <name>")
            ),
            (
                None,
                "server",
                "TLS certificate 1 of 2 or more: RSA 2048, valid from 2020-01-01 until 2021-01-01",
                Some("CN=shop.example.com; for shop.example.com; issuer CN=A CA")
            ),
            (None, "client", "TLS: sent a client certificate", None),
            (
                Some(2_000_000),
                "server",
                "TLS alert, warning unrecognized_name (112)",
                None
            ),
            (
                Some(4_000_000),
                "",
                "TLS handshake over, 3.000 ms after the ClientHello",
                None
            ),
        ]
    );
    let element = |name: &str| {
        let found = connection
            .elements
            .iter()
            .find(|element| element.name == name);
        let found = found.unwrap_or_else(|| panic!("{name}"));
        [found.client.as_deref(), found.server.as_deref()]
    };
    assert_eq!(
        element("tls_version"),
        [Some("TLS 1.3, TLS 1.2"), Some("TLS 1.2")]
    );
    // What anybody may make up is none of our words.
    assert_eq!(
        element("tls_alpn"),
        [Some("h2, (another)"), Some("(another)")]
    );
    assert_eq!(
        element("tls_resumption"),
        [Some("offered"), Some("by a session id or ticket")]
    );
    assert_eq!(
        element("tls_ja4"),
        [Some("t13d1516h2_8daaf6152771_e5627efa2ab1"), None]
    );
    assert!(!connection.close_explained.contains("TLS"));
}

#[tokio::test]
async fn a_failed_one_says_of_what() {
    let fixture = Fixture::new();
    let row = |kind: i64, by: &str, version: i64, certificates: &str, flags: i64| {
        format!(
            "{kind}, {by}, 0, NULL, {version}, 4865, NULL, NULL, NULL, {flags}, '772', '', 1, '{certificates}', NULL, ''"
        )
    };
    for (columns, said) in [
        (
            row(10045, "'client'", 771, CERTIFICATE, 128),
            &[
                "the TLS handshake failed: the client sent the alert certificate_expired: the server's certificate is expired",
                "by the client's clock; the server's certificate had expired",
                "on 2021-01-01; the name that the client asked for is not among those of the server's certificate",
            ][..],
        ),
        (
            row(10255, "'server'", 771, "", 0),
            &["failed: the server sent the alert 255"],
        ),
        (
            row(10300, "'server'", 772, "", 0),
            &["the server sent what by its length is an alert, most likely"],
        ),
        (
            row(10301, "NULL", 772, "", 0),
            &["before the server answered"],
        ),
        (
            row(10302, "NULL", 772, "", 0),
            &["before the client had finished"],
        ),
        (row(10303, "NULL", 772, "", 0), &["something else than TLS"]),
        (
            row(10304, "NULL", 772, "", 0),
            &["the server speaks TLS at that port"],
        ),
    ] {
        handshake(&fixture, &columns);
        let connection = told(&fixture).await;
        for part in said {
            assert!(
                connection.close_explained.contains(part),
                "{part}: {}",
                connection.close_explained
            );
        }
    }
}

#[tokio::test]
async fn a_failed_one_is_a_group_of_its_own() {
    let fixture = Fixture::new();
    handshake(
        &fixture,
        "10048, 'client', 0, NULL, 772, 4865, NULL, NULL, NULL, 0, '772', '', 0, '', NULL, '5,client,2,48'",
    );
    let failed = Row {
        start_ns: fixture.now_ns - 60 * SECOND,
        ..Row::default()
    };
    fixture.roll_up(&failed, 10048, None, 1_000);
    let query = ErrorsQuery {
        window: hour(),
        limit: 10,
        ..ErrorsQuery::default()
    };
    let groups = fixture
        .store()
        .errors(&query, &never())
        .await
        .unwrap()
        .value;
    let told: Vec<_> = groups
        .iter()
        .map(|group| (group.kind.as_str(), group.count, group.examples.as_slice()))
        .collect();
    assert_eq!(
        told,
        [("tls_handshake unknown_ca", 1, &["c_k7q21".to_owned()][..])]
    );
    let query = SqlQuery {
        sql:
            "SELECT tls_version, tls_cipher, tls_error FROM connections WHERE tls_error IS NOT NULL"
                .to_owned(),
        window: hour(),
        limit: 9,
    };
    let rows = fixture
        .store()
        .sql(&query, &never())
        .await
        .unwrap()
        .value
        .rows;
    let text = |text: &str| SqlValue::Text(text.to_owned());
    assert_eq!(
        rows,
        [[
            text("TLS 1.3"),
            text("TLS_AES_128_GCM_SHA256"),
            text("tls_handshake unknown_ca")
        ]]
    );
}

/// A request in clear to a server that speaks TLS: its exchange has failed, and is what is counted.
#[tokio::test]
async fn what_has_failed_as_an_exchange_is_not_offered_as_a_connection() {
    let fixture = Fixture::new();
    let failed = Row {
        start_ns: fixture.now_ns - 60 * SECOND,
        ..Row::default()
    };
    fixture.roll_up(&failed, 10304, None, 1_000);
    handshake(
        &fixture,
        "10304, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, '', '', 0, '', NULL, '5,server,2,10'",
    );
    for (protocol, ids) in [
        ("'tls'", &["c_k7q21".to_owned()][..]),
        ("'http'", &[]),
        ("NULL", &[]),
    ] {
        let sql = format!("UPDATE connection SET network_protocol_name = {protocol}");
        fixture.writer.execute(&sql, []).unwrap();
        let query = SuggestionsQuery {
            of: Suggested::FailedConnections,
            prefix: String::new(),
            service: None,
        };
        let offered = fixture.store().suggestions(&query, &never()).await.unwrap();
        assert_eq!(offered.values, ids, "{protocol}");
        let query = ErrorsQuery {
            window: hour(),
            limit: 10,
            ..ErrorsQuery::default()
        };
        let groups = fixture.store().errors(&query, &never()).await.unwrap();
        assert_eq!(groups.value[0].examples, ids, "{protocol}");
    }
}

/// A request that failed for want of a connection which its server could not make.
#[tokio::test]
async fn it_is_the_cause_of_what_waited_for_it() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row {
        start_ns: fixture.now_ns - 60 * SECOND,
        status: Some(502),
        ..Row::default()
    }]);
    let made = "INSERT INTO connection SELECT 3, run_id, ?1 + 1000, ?1 + 2000, 'fin', 0, 'tls', client_address, 50000, NULL, NULL, \
                1, client_netns, server_process_id, 'proc', server_service_id, '192.0.2.9', 443, NULL, NULL, 0, 0, NULL, 'none', 3, \
                300, 7, 0, NULL, NULL, NULL, NULL, NULL FROM connection WHERE id = 1";
    fixture
        .writer
        .execute(made, [fixture.now_ns - 60 * SECOND])
        .unwrap();
    fixture
        .writer
        .execute_batch(
            "INSERT INTO connection_tls VALUES (3, 10070, 'server', 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, '771', '', 0, '', NULL, \
             '900,server,2,70')",
        )
        .unwrap();
    let explained = fixture
        .store()
        .failure("x_k7q21", &never())
        .await
        .unwrap()
        .value;
    let finding = explained
        .findings
        .iter()
        .find(|finding| finding.id.as_deref() == Some("c_k7q23"))
        .unwrap_or_else(|| panic!("{explained:#?}"));
    assert!(
        finding
            .what
            .contains("the server sent the alert protocol_version: no version of TLS in common"),
        "{}",
        finding.what
    );
    // It is not one whose content nobody could read.
    let is_unread = |what: &str| what.contains("encrypted (TLS)");
    assert!(
        !explained
            .findings
            .iter()
            .any(|finding| is_unread(&finding.what))
    );
}

/// A request whose server waits for another that does not answer, as a program that hangs.
#[tokio::test]
async fn what_waits_for_a_handshake_is_the_cause_too() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row {
        start_ns: fixture.now_ns - 60 * SECOND,
        status: Some(504),
        ..Row::default()
    }]);
    let made = "INSERT INTO connection SELECT 3, run_id, ?1 + 1000, NULL, 'open', 0, 'tls', client_address, 50000, NULL, NULL, \
                1, client_netns, server_process_id, 'proc', server_service_id, '192.0.2.9', 443, NULL, NULL, 0, 0, NULL, 'none', 3, \
                517, ?2, 0, NULL, NULL, NULL, NULL, NULL FROM connection WHERE id = 1";
    for (server_bytes, expected) in [(0, true), (90, false)] {
        fixture
            .writer
            .execute("DELETE FROM connection WHERE id = 3", [])
            .unwrap();
        fixture
            .writer
            .execute(made, [fixture.now_ns - 60 * SECOND, server_bytes])
            .unwrap();
        fixture
            .writer
            .execute_batch(
                "REPLACE INTO connection_tls VALUES (3, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, '771', '', 0, '', NULL, '')",
            )
            .unwrap();
        let explained = fixture.store().failure("x_k7q21", &never()).await;
        let explained = explained.unwrap().value;
        let is_told = explained.findings.iter().any(|finding| {
            finding.id.as_deref() == Some("c_k7q23")
                && finding
                    .what
                    .contains("waited for an answer to its TLS ClientHello")
        });
        assert_eq!(is_told, expected, "{explained:#?}");
    }
}
