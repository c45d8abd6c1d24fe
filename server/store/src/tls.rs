//! Rows of what the handshakes of TLS said.

use std::fmt::Write as _;

use headwater_model::{Side, Tls, TlsCertificate, TlsClientCertificate, TlsResumption};
use headwater_redact::Text;
use rusqlite::{Connection, params};

use crate::codes::tls_kind;
use crate::integer::signed;

/// Stores that of a connection, or what has changed of it.
pub(crate) fn write(
    connection: &Connection,
    id: i64,
    tls: &Tls,
    start_ns: u64,
) -> rusqlite::Result<()> {
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.as_str().to_owned());
    let failure = tls.failure.map(tls_kind);
    let versions: Vec<_> = tls.offered_versions.iter().map(u16::to_string).collect();
    let alpn: Vec<_> = tls.offered_alpn.iter().map(Text::as_str).collect();
    let certificates: Vec<_> = tls.certificates.iter().map(certificate).collect();
    connection
        .prepare_cached(
            "REPLACE INTO connection_tls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id,
            failure.map(|(kind, _)| kind),
            failure.and_then(|(_, by)| by).map(side),
            signed(tls.begun_ns.saturating_sub(start_ns)),
            tls.done_ns
                .map(|done_ns| signed(done_ns.saturating_sub(tls.begun_ns))),
            tls.version,
            tls.cipher,
            text(&tls.alpn),
            text(&tls.server_name),
            tls.ja4,
            flags(tls),
            versions.join(","),
            alpn.join("\n"),
            tls.certificate_count,
            certificates.join("\n"),
            tls.client_certificate.map(|what| match what {
                TlsClientCertificate::Asked => -1,
                TlsClientCertificate::None => 0,
                TlsClientCertificate::Sent(count) => i64::from(count),
            }),
            alerts(tls, start_ns),
        ])?;
    Ok(())
}

fn flags(tls: &Tls) -> i64 {
    [
        (tls.has_ech, 1),
        (tls.offers_resumption, 2),
        (tls.offers_early_data, 4),
        (tls.is_retried, 8),
        (tls.resumption == Some(TlsResumption::Psk), 16),
        (tls.resumption == Some(TlsResumption::Session), 32),
        (tls.is_name_right == Some(true), 64),
        (tls.is_name_right == Some(false), 128),
        (tls.is_chain_cut, 256),
    ]
    .into_iter()
    .filter(|(is_set, _)| *is_set)
    .map(|(_, flag)| flag)
    .sum()
}

fn certificate(certificate: &TlsCertificate) -> String {
    let mut text = String::new();
    for byte in certificate.sha256 {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    let name = |name: &Option<Text>| name.as_ref().map_or("", Text::as_str).to_owned();
    let _ = write!(
        text,
        "\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
        name(&certificate.subject),
        name(&certificate.issuer),
        certificate.not_before,
        certificate.not_after,
        u8::from(certificate.is_self_issued),
        certificate.key,
        certificate.name_count,
    );
    for name in &certificate.names {
        let _ = write!(text, "\t{}", name.as_str());
    }
    text
}

fn alerts(tls: &Tls, start_ns: u64) -> String {
    let alerts = tls.alerts.iter().map(|alert| {
        let (level, description) = alert.said.map_or_else(Default::default, |(level, said)| {
            (level.to_string(), said.to_string())
        });
        let after = alert.at_ns.saturating_sub(start_ns);
        format!("{after},{},{level},{description}", side(alert.by))
    });
    alerts.collect::<Vec<_>>().join(" ")
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}
