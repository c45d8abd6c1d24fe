//! The handshake of TLS in a connection's answer: its lines of the story, and its rows.

use super::{Element, StoryLine};
use crate::exchange::span;
use crate::tls::{Tls, protocols, unknown_protocols, version, versions};

impl Tls {
    /// What happened, in order; what has no time of its own stands behind what was before it.
    pub(super) fn story(&self) -> Vec<StoryLine> {
        let mut lines = Vec::new();
        let begun = Some(signed(self.begun));
        let mut add = |after_ns, by, what, captured| {
            lines.push(StoryLine {
                after_ns,
                by,
                what,
                id: None,
                captured,
            });
        };
        if !self.offered_versions.is_empty() {
            add(begun, "client", self.hello(), self.server_name.clone());
        }
        if self.is_retried() {
            let what = "TLS HelloRetryRequest: another ClientHello is asked for";
            add(None, "server", what.to_owned(), None);
        }
        if let Some(chosen) = self.version {
            let mut words = vec![version(chosen)];
            words.extend(self.cipher());
            let alpn = self.alpn.as_slice();
            words.extend(
                self.alpn
                    .as_ref()
                    .map(|_| format!("ALPN {}", protocols(alpn))),
            );
            let resumed = self.resumed_by();
            words.extend(resumed.map(|by| format!("the session is resumed by {by}")));
            let what = format!("TLS ServerHello: {}", words.join(", "));
            add(None, "server", what, unknown_protocols(alpn));
        }
        for (at, certificate) in self.certificates.iter().enumerate() {
            let what = format!(
                "TLS certificate {} of {}{}: {}",
                at + 1,
                self.certificate_count,
                if self.is_chain_cut() { " or more" } else { "" },
                certificate.words()
            );
            add(None, "server", what, Some(certificate.captured()));
        }
        match self.client_certificate {
            Some(-1) => add(
                None,
                "server",
                "TLS: asks for a client certificate".to_owned(),
                None,
            ),
            Some(0) => {
                let what = "TLS: was asked for a certificate and sent none".to_owned();
                add(None, "client", what, None);
            }
            Some(_) => add(
                None,
                "client",
                "TLS: sent a client certificate".to_owned(),
                None,
            ),
            None => {}
        }
        for alert in &self.alerts {
            let what = format!("TLS alert, {}", alert.words());
            add(Some(signed(alert.after_ns)), alert.by, what, None);
        }
        if let Some(took_ns) = self.took_ns {
            let at = Some(signed(self.begun.saturating_add(took_ns)));
            let what = format!(
                "TLS handshake over, {} after the ClientHello",
                span(took_ns)
            );
            add(at, "", what, None);
        }
        lines
    }

    fn hello(&self) -> String {
        let mut words = vec![format!("offers {}", versions(&self.offered_versions))];
        if !self.offered_alpn.is_empty() {
            words.push(format!("ALPN {}", protocols(&self.offered_alpn)));
        }
        if self.offers_resumption() {
            words.push("a session to be resumed".to_owned());
        }
        if self.offers_early_data() {
            words.push("early data".to_owned());
        }
        words.push(match (&self.server_name, self.has_ech()) {
            (None, false) => "asks for no name (SNI)".to_owned(),
            (None, true) => "the name that it asks for is encrypted (ECH)".to_owned(),
            (Some(_), false) => "asks for the name (SNI)".to_owned(),
            (Some(_), true) => "asks for the name (SNI; with Encrypted Client Hello, or GREASE that looks like it, \
                                it may be a stand-in)"
                .to_owned(),
        });
        format!("TLS ClientHello: {}", words.join("; "))
    }

    /// Rows of both ends.
    pub(super) fn elements(&self) -> Vec<Element> {
        let list = |names: &[String]| (!names.is_empty()).then(|| protocols(names));
        let offered = (!self.offered_versions.is_empty()).then(|| versions(&self.offered_versions));
        let alerts = |by: &str| {
            let alerts = self.alerts.iter().filter(|alert| alert.by == by);
            let words: Vec<_> = alerts.map(super::super::tls::Alert::words).collect();
            (!words.is_empty()).then(|| words.join(", "))
        };
        let resumed = self.resumed_by().map(|by| format!("by {by}"));
        let sha256 = self.certificates.first().map(|own| own.sha256.clone());
        let rows = [
            ("tls_version", offered, self.version.map(version)),
            ("tls_cipher", None, self.cipher()),
            (
                "tls_alpn",
                list(&self.offered_alpn),
                list(self.alpn.as_slice()),
            ),
            (
                "tls_resumption",
                self.offers_resumption().then(|| "offered".to_owned()),
                resumed,
            ),
            ("tls_ja4", self.ja4.clone(), None),
            ("tls_certificate_sha256", None, sha256),
            ("tls_alerts", alerts("client"), alerts("server")),
        ];
        let rows = rows.into_iter();
        rows.filter(|(_, client, server)| client.is_some() || server.is_some())
            .map(|(name, client, server)| Element {
                name,
                client,
                server,
            })
            .collect()
    }
}

fn signed(after: u64) -> i64 {
    i64::try_from(after).unwrap_or(i64::MAX)
}
