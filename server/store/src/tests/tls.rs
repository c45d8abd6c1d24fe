//! Rows of handshakes of TLS.

use headwater_model::{
    CloseReason, Event, Side, Tls, TlsAlert, TlsCertificate, TlsClientCertificate, TlsFailure,
    TlsResumption,
};

use super::fixture::{Fixture, START};

fn told(fixture: &mut Fixture, key: u64, tls: Tls) -> Event {
    let Event::Connection(mut connection) = fixture.connection(key, CloseReason::Fin) else {
        panic!("a connection");
    };
    connection.protocol = Some("tls");
    connection.tls = Some(Box::new(tls));
    Event::Connection(connection)
}

#[test]
fn a_handshake_is_a_row_of_its_own() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    let name = |fixture: &mut Fixture, name: &str| Some(fixture.redactor.host(name.as_bytes()));
    let certificate = TlsCertificate {
        sha256: [0xab; 32],
        subject: name(&mut fixture, "shop.example.com"),
        issuer: None,
        names: vec![fixture.redactor.host(b"*.example.com"); 2],
        name_count: 9,
        not_before: 1,
        not_after: 2,
        is_self_issued: true,
        key: "RSA 2048".to_owned(),
    };
    let tls = Tls {
        begun_ns: START + 1_000,
        done_ns: Some(START + 3_000),
        offered_versions: vec![0x0304, 0x0303],
        version: Some(0x0303),
        cipher: Some(0xc02f),
        offered_alpn: vec![
            fixture.redactor.phrase(b"h2"),
            fixture.redactor.phrase(b"http/1.1"),
        ],
        server_name: name(&mut fixture, "shop.example.com"),
        ja4: Some("t13d".to_owned()),
        offers_resumption: true,
        resumption: Some(TlsResumption::Session),
        certificates: vec![certificate.clone(), certificate],
        certificate_count: 3,
        is_chain_cut: true,
        is_name_right: Some(false),
        client_certificate: Some(TlsClientCertificate::Asked),
        alerts: vec![
            TlsAlert {
                at_ns: START + 2_000,
                by: Side::Client,
                said: Some((2, 48)),
            },
            TlsAlert {
                at_ns: START + 2_500,
                by: Side::Server,
                said: None,
            },
        ],
        ..Tls::default()
    };
    let event = told(&mut fixture, 1, tls);
    // Told again, it is the same row.
    writer.apply_all(&[event.clone(), event]).unwrap();
    writer.commit(START).unwrap();
    let line = format!(
        "{}\tshop.example.com\t\t1\t2\t1\tRSA 2048\t9\t*.example.com\t*.example.com",
        "ab".repeat(32)
    );
    let sql = format!(
        "SELECT COUNT(*) FROM connection_tls WHERE connection_id = 1 AND error_kind IS NULL AND alert_by IS NULL AND begun_ns = 1000 \
         AND done_ns = 2000 AND tls_version = 771 AND tls_cipher = 49199 AND tls_alpn IS NULL AND tls_server_name = 'shop.example.com' \
         AND tls_ja4 = 't13d' AND flags = 2 + 32 + 128 + 256 AND offered_versions = '772,771' AND offered_alpn = 'h2' || char(10) || 'http/1.1' \
         AND certificate_count = 3 AND certificates = '{line}' || char(10) || '{line}' AND client_certificate = -1 \
         AND alerts = '2000,client,2,48 2500,server,,'"
    );
    assert_eq!(writer.number(&sql), 1);
    assert_eq!(writer.number("SELECT COUNT(*) FROM rollup_1"), 0);
}

#[test]
fn a_failed_one_is_counted_once() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    let failures = [
        TlsFailure::Alert {
            by: Side::Client,
            description: 48,
        },
        TlsFailure::EncryptedAlert { by: Side::Server },
        TlsFailure::NotAnswered,
        TlsFailure::NotFinished,
        TlsFailure::ServerSpokeNoTls,
        TlsFailure::ClientSpokeNoTls,
    ];
    for (key, failure) in (1..).zip(failures) {
        let tls = Tls {
            failure: Some(failure),
            ..Tls::default()
        };
        let event = told(&mut fixture, key, tls);
        writer.apply_all(&[event.clone(), event]).unwrap();
    }
    writer.commit(START).unwrap();
    for kind in [10048, 10300, 10301, 10302, 10303, 10304] {
        let counted =
            format!("SELECT SUM(count) FROM rollup_1 WHERE kind = {kind} AND method = ''");
        assert_eq!(writer.number(&counted), 1, "{kind}");
        let told = format!("SELECT COUNT(*) FROM connection_tls WHERE error_kind = {kind}");
        assert_eq!(writer.number(&told), 1, "{kind}");
    }
    let by = "SELECT COUNT(*) FROM connection_tls WHERE alert_by IN ('client', 'server')";
    assert_eq!(writer.number(by), 2);
}
