//! The handshake of TLS of a conversation.
//!
//! Owns: when its observer begins, what it is shown, and the translation of what it found. It sees the bytes as they are on the
//! wire, whatever dialect reads them.

use headwater_model::{
    CloseReason, Side, Tls, TlsAlert, TlsCertificate, TlsClientCertificate, TlsFailure,
    TlsResumption,
};
use headwater_protocols::http1::Direction;
use headwater_protocols::tls::{self, Certificate, ClientCertificate, Failure, Observer, Stage};
use headwater_redact::{Redactor, Text};

use super::Conversation;
use crate::dialect::Dialect;
use crate::stream::{Stream, Stretch};

/// What is seen of TLS.
#[derive(Default)]
pub(super) struct Watch {
    /// Of a connection in TLS alone: it is large.
    observer: Option<Box<Observer>>,
    /// That began in a tunnel: what it says is not said to the other end of the connection.
    is_in_tunnel: bool,
    /// What the client, and the server, said before.
    heard: [Heard; 2],
    /// What the observer's news were when they were last asked for.
    news: u32,
}

/// What a direction said before TLS began; in a tunnel, since that.
#[derive(Default)]
struct Heard {
    is_tunnel: bool,
    said: Said,
}

#[derive(Default)]
enum Said {
    #[default]
    Nothing,
    /// It is too short to tell; since when.
    Little(u64, Vec<u8>),
    /// Something else than TLS.
    Other,
    /// So many bytes of which the first were not seen; the last of them at that time.
    Missing(u64, u64),
}

impl Heard {
    /// Takes bytes, and gives out those that TLS begins with, and since when.
    fn bytes(&mut self, direction: Direction, at_ns: u64, data: &[u8]) -> Option<(u64, Vec<u8>)> {
        let (since_ns, mut all) = match std::mem::take(&mut self.said) {
            Said::Little(since_ns, little) => (since_ns, little),
            Said::Missing(missing, _) if !self.is_tunnel => {
                self.said = Said::Missing(missing.saturating_add(data.len() as u64), at_ns);
                return None;
            }
            Said::Other if !self.is_tunnel => {
                self.said = Said::Other;
                return None;
            }
            // What goes through a tunnel may begin anew.
            Said::Nothing | Said::Other | Said::Missing(..) => (at_ns, Vec::new()),
        };
        // What does not begin TLS is not copied.
        let wanted = tls::SHORTEST_BEGINNING.saturating_sub(all.len());
        all.extend(data.iter().take(wanted));
        match tls::begins(direction, &all) {
            Some(true) => {
                all.extend(data.iter().skip(wanted));
                return Some((since_ns, all));
            }
            Some(false) => self.said = Said::Other,
            None => self.said = Said::Little(since_ns, all),
        }
        None
    }

    fn hole(&mut self, at_ns: u64, length: u64) {
        let before = match std::mem::take(&mut self.said) {
            Said::Nothing => 0,
            Said::Little(_, little) => little.len() as u64,
            Said::Missing(missing, _) => missing,
            Said::Other => {
                self.said = Said::Other;
                return;
            }
        };
        self.said = Said::Missing(before.saturating_add(length), at_ns);
    }

    /// Tells an observer of it that begins with the other direction, in a tunnel or not.
    fn tell(&mut self, observer: &mut Observer, direction: Direction, is_tunnel: bool) {
        if self.is_tunnel != is_tunnel {
            return;
        }
        match std::mem::take(&mut self.said) {
            Said::Little(at_ns, little) => observer.bytes(direction, at_ns, &little),
            Said::Missing(missing, at_ns) => observer.skipped(direction, at_ns, missing),
            Said::Other if direction == Direction::ToServer => observer.client_spoke_no_tls(),
            Said::Nothing | Said::Other => {}
        }
    }
}

impl Watch {
    /// Has whatever acts on a stream of a direction seen on its way to the dialect.
    pub(super) fn seeing<'w>(
        &'w mut self,
        direction: Direction,
        dialect: &Dialect,
        act: impl FnOnce(&mut Stream, &mut dyn FnMut(Stretch<'_>)) + 'w,
    ) -> impl FnOnce(&mut Stream, &mut dyn FnMut(Stretch<'_>)) + 'w {
        let is_tunnel = dialect.is_tunnel(direction);
        move |stream, give| {
            act(stream, &mut |stretch| {
                self.see(direction, &stretch, is_tunnel);
                give(stretch);
            });
        }
    }

    /// A stretch of a direction passes. `is_tunnel`: what goes through may begin anew.
    fn see(&mut self, direction: Direction, stretch: &Stretch<'_>, is_tunnel: bool) {
        let [client, server] = &mut self.heard;
        let (heard, other) = match direction {
            Direction::ToServer => (client, server),
            Direction::ToClient => (server, client),
        };
        if is_tunnel && !heard.is_tunnel {
            *heard = Heard {
                is_tunnel,
                said: Said::Nothing,
            };
        }
        match (*stretch, &mut self.observer) {
            (Stretch::Bytes { at_ns, data, .. }, None) => {
                if let Some((since_ns, beginning)) = heard.bytes(direction, at_ns, data) {
                    let observer = self.observer.insert(Box::default());
                    self.is_in_tunnel = is_tunnel;
                    other.tell(observer, direction.opposite(), is_tunnel);
                    observer.bytes(direction, since_ns, &beginning);
                }
            }
            (Stretch::Bytes { at_ns, data, .. }, Some(observer)) => {
                observer.bytes(direction, at_ns, data);
            }
            (Stretch::Hole { at_ns, length, .. }, Some(observer)) => {
                observer.skipped(direction, at_ns, length);
            }
            (Stretch::Hole { at_ns, length, .. }, None) => heard.hole(at_ns, length),
            (Stretch::Turn, Some(observer)) => observer.turn(direction),
            (Stretch::Turn | Stretch::Frame, _) => {}
        }
    }

    /// A direction is closed.
    pub(super) fn closed(&mut self, direction: Direction, at_ns: u64) {
        if let Some(observer) = &mut self.observer {
            observer.closed(direction, at_ns);
        }
    }

    /// Whether there is more to tell since last asked.
    pub(super) fn has_news(&mut self) -> bool {
        let now = self.observer.as_ref().map_or(0, |observer| observer.news());
        std::mem::replace(&mut self.news, now) != now
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.observer
            .as_ref()
            .map_or(0, |observer| observer.held_bytes())
    }

    pub(super) fn let_go(&mut self) {
        if let Some(observer) = &mut self.observer {
            observer.let_go();
        }
    }
}

impl Conversation {
    pub(super) fn judge_protocol(&mut self, bytes: &[u8]) {
        // A record of type handshake to application data, version 3.x (RFC 8446 section 5.1).
        if let [0x14..=0x17, 3, 0..=4, ..] = bytes {
            self.protocol = Some("tls");
            self.changed = true;
        }
    }

    /// What the handshake said.
    pub(super) fn tls_told(&self, redactor: &mut Redactor) -> Option<Box<Tls>> {
        let observer = self.tls.observer.as_ref()?;
        let facts = observer.facts();
        let client = facts.client.as_ref();
        let server = facts.server.as_ref();
        let alpn = |name: &Vec<u8>, redactor: &mut Redactor| redactor.phrase(name);
        Some(Box::new(Tls {
            begun_ns: facts.begun_ns,
            done_ns: facts.done_ns,
            offered_versions: client.map_or(Vec::new(), |client| client.versions.clone()),
            version: facts.version(),
            cipher: server.map(|server| server.cipher),
            offered_alpn: client.map_or(Vec::new(), |client| {
                let names = client.alpn.iter();
                names.map(|name| alpn(name, redactor)).collect()
            }),
            alpn: server
                .and_then(|server| server.alpn.as_ref())
                .map(|name| alpn(name, redactor)),
            server_name: client
                .and_then(|client| client.server_name.as_ref())
                .map(|name| redactor.host(&name.to_ascii_lowercase())),
            has_ech: client.is_some_and(|client| client.has_ech),
            ja4: client.map(|client| client.ja4.clone()),
            is_retried: facts.is_retried,
            offers_resumption: client.is_some_and(|client| client.offers_resumption),
            offers_early_data: client.is_some_and(|client| client.offers_early_data),
            resumption: facts.resumption.map(|resumption| match resumption {
                tls::Resumption::Psk => TlsResumption::Psk,
                tls::Resumption::Session => TlsResumption::Session,
            }),
            certificates: {
                let all = facts.certificates.iter();
                all.map(|one| certificate(one, redactor)).collect()
            },
            certificate_count: facts.certificate_count,
            is_chain_cut: facts.is_chain_cut,
            is_name_right: facts.is_name_right,
            client_certificate: facts.client_certificate.map(|what| match what {
                ClientCertificate::Asked => TlsClientCertificate::Asked,
                ClientCertificate::None => TlsClientCertificate::None,
                ClientCertificate::Sent(count) => TlsClientCertificate::Sent(count),
            }),
            alerts: {
                let alerts = facts.alerts.iter();
                let told = alerts.map(|alert| TlsAlert {
                    at_ns: alert.at_ns,
                    by: side(alert.direction),
                    said: alert.said,
                });
                told.collect()
            },
            failure: self.tls_failure(observer),
        }))
    }

    fn tls_failure(&self, observer: &Observer) -> Option<TlsFailure> {
        let has_ended = matches!(
            self.close_reason,
            CloseReason::Fin
                | CloseReason::ClientReset
                | CloseReason::ServerReset
                | CloseReason::TimedOut
        );
        Some(match observer.failure(has_ended)? {
            // The libraries of its ends said something behind the handshake.
            Failure::EncryptedAlert(_)
                if observer.facts().done_ns.is_some() && self.has_told_plaintext() =>
            {
                return None;
            }
            Failure::Alert(direction, description) => TlsFailure::Alert {
                by: side(direction),
                description,
            },
            Failure::EncryptedAlert(direction) => TlsFailure::EncryptedAlert {
                by: side(direction),
            },
            Failure::Cut(Stage::NotAnswered) => TlsFailure::NotAnswered,
            Failure::Cut(Stage::NotFinished) => TlsFailure::NotFinished,
            Failure::ServerSpokeNoTls => TlsFailure::ServerSpokeNoTls,
            // What the client said first was not seen.
            Failure::ClientSpokeNoTls if self.joined_midstream => return None,
            Failure::ClientSpokeNoTls => TlsFailure::ClientSpokeNoTls,
        })
    }

    /// The name that the client asked for in its hello; not where it may be a stand-in, or names what is behind a proxy.
    pub(super) fn tls_name(&self, redactor: &mut Redactor) -> Option<Text> {
        if self.tls.is_in_tunnel {
            return None;
        }
        let client = self.tls.observer.as_ref()?.facts().client.as_ref()?;
        let name = client.server_name.as_ref().filter(|_| !client.has_ech)?;
        Some(redactor.host(&name.to_ascii_lowercase()))
    }
}

fn side(direction: Direction) -> Side {
    match direction {
        Direction::ToServer => Side::Client,
        Direction::ToClient => Side::Server,
    }
}

fn certificate(certificate: &Certificate, redactor: &mut Redactor) -> TlsCertificate {
    let bits = certificate.key.bits;
    TlsCertificate {
        sha256: certificate.sha256,
        subject: certificate
            .subject
            .as_deref()
            .map(|name| common_name(name, redactor)),
        issuer: certificate
            .issuer
            .as_deref()
            .map(|name| common_name(name, redactor)),
        names: {
            let names = certificate.names.iter();
            names.map(|name| redactor.host(name)).collect()
        },
        name_count: certificate.name_count,
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        is_self_issued: certificate.is_self_issued,
        key: bits.map_or_else(
            || certificate.key.kind.to_owned(),
            |bits| format!("{} {bits}", certificate.key.kind),
        ),
    }
}

/// A host's name, or that of an authority, which has words.
fn common_name(name: &[u8], redactor: &mut Redactor) -> Text {
    let is_host = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'*' | b'_'));
    if is_host {
        redactor.host(name)
    } else {
        redactor.phrase(name)
    }
}
