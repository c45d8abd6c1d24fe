//! What the handshake of TLS of a connection said, read back and put into words.
//!
//! Owns: the row of `connection_tls`, and what a failed handshake means. Words are Headwater's; what was captured (names, and
//! protocols that IANA does not know) stands apart.

mod certificate;

use headwater_protocols::tls::{alert_name, cipher_name, version_name};

use crate::QueryError;
use crate::db::query;
use crate::integer::unsigned;
use crate::outcome;
use crate::snapshot::Snapshot;

pub(crate) use certificate::Certificate;

/// A handshake.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tls {
    /// Behind `outcome::TLS`.
    failure: Option<i64>,
    alert_by: Option<String>,
    /// After the connection's start.
    pub(crate) begun: u64,
    /// From the ClientHello to the last Finished.
    pub(crate) took_ns: Option<u64>,
    pub(crate) version: Option<u16>,
    cipher: Option<u16>,
    pub(crate) alpn: Option<String>,
    /// Untrusted.
    pub(crate) server_name: Option<String>,
    pub(crate) ja4: Option<String>,
    flags: i64,
    pub(crate) offered_versions: Vec<u16>,
    pub(crate) offered_alpn: Vec<String>,
    pub(crate) certificate_count: u64,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) client_certificate: Option<i64>,
    pub(crate) alerts: Vec<Alert>,
    start_ns: u64,
}

/// Of a row of `connection_tls t` and its `connection c`: whether it is counted as failed in roll-ups. Of a request in clear to a
/// server that speaks TLS the exchange has failed, and is counted.
pub(crate) const IS_COUNTED: &str =
    "t.error_kind IS NOT NULL AND (t.error_kind <> 10304 OR c.network_protocol_name = 'tls')";

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alert {
    /// After the connection's start.
    pub(crate) after_ns: u64,
    pub(crate) by: &'static str,
    /// Level and description.
    said: Option<(u8, u8)>,
}

impl Tls {
    /// What is known of that of a connection which began then.
    pub(crate) fn load(
        snapshot: &mut Snapshot,
        connection: i64,
        start_ns: u64,
    ) -> Result<Option<Self>, QueryError> {
        let row = query("SELECT * FROM connection_tls WHERE connection_id = ?")
            .bind(connection)
            .fetch_optional(snapshot.connection())?;
        let Some(row) = row else {
            return Ok(None);
        };
        let number = |column: &str| row.try_get::<Option<i64>>(column);
        let small = |column: &str| -> Result<Option<u16>, QueryError> {
            Ok(number(column)?.and_then(|number| u16::try_from(number).ok()))
        };
        let text = |column: &str| row.try_get::<&str>(column);
        Ok(Some(Self {
            failure: number("error_kind")?.map(|kind| kind - outcome::TLS),
            alert_by: row.try_get("alert_by")?,
            begun: unsigned(row.try_get("begun_ns")?),
            took_ns: number("done_ns")?.map(unsigned),
            version: small("tls_version")?,
            cipher: small("tls_cipher")?,
            alpn: row.try_get("tls_alpn")?,
            server_name: row.try_get("tls_server_name")?,
            ja4: row.try_get("tls_ja4")?,
            flags: row.try_get("flags")?,
            offered_versions: {
                let numbers = text("offered_versions")?.split(',');
                numbers.filter_map(|number| number.parse().ok()).collect()
            },
            offered_alpn: text("offered_alpn")?.lines().map(str::to_owned).collect(),
            certificate_count: unsigned(row.try_get("certificate_count")?),
            certificates: {
                let lines = text("certificates")?.lines();
                lines.filter_map(Certificate::read).collect()
            },
            client_certificate: number("client_certificate")?,
            alerts: {
                let alerts = text("alerts")?.split(' ');
                alerts.filter_map(Alert::read).collect()
            },
            start_ns,
        }))
    }

    /// Whether the client offers Encrypted Client Hello, or pretends to.
    pub(crate) fn has_ech(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Whether it offers to resume a session.
    pub(crate) fn offers_resumption(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Whether it offers data in its first flight.
    pub(crate) fn offers_early_data(&self) -> bool {
        self.flags & 4 != 0
    }

    /// Whether the server asked for another ClientHello.
    pub(crate) fn is_retried(&self) -> bool {
        self.flags & 8 != 0
    }

    /// Whether the server sent more certificates than were seen, perhaps.
    pub(crate) fn is_chain_cut(&self) -> bool {
        self.flags & 256 != 0
    }

    /// How the session was resumed.
    pub(crate) fn resumed_by(&self) -> Option<&'static str> {
        match self.flags & 0x30 {
            0 => None,
            0x10 => Some("a pre-shared key"),
            _ => Some("a session id or ticket"),
        }
    }

    /// The cipher suite that was chosen.
    pub(crate) fn cipher(&self) -> Option<String> {
        self.cipher.map(cipher)
    }

    /// What is encrypted, and so not known.
    pub(crate) fn hides_certificates(&self) -> bool {
        self.version.is_some_and(|version| version >= TLS_1_3)
    }

    /// What it failed of, and what speaks for that.
    pub(crate) fn explained(&self) -> Option<String> {
        let mut words = vec![format!("the TLS handshake failed: {}", self.failure()?)];
        words.extend(self.doubts());
        Some(words.join("; "))
    }

    /// What the handshake failed of, in words.
    fn failure(&self) -> Option<String> {
        let failure = self.failure?;
        let by = match self.alert_by.as_deref() {
            Some("client") => "client",
            Some(_) => "server",
            None => "",
        };
        Some(match failure {
            ENCRYPTED_ALERT => format!(
                "the {by} sent what by its length is an alert, most likely, and it ended right behind that; the alert is encrypted, \
                 which one it was is not known here, but in the log of either end"
            ),
            NOT_ANSWERED => {
                "the connection ended before the server answered the ClientHello".to_owned()
            }
            NOT_FINISHED => {
                "the connection ended before the client had finished, without an alert".to_owned()
            }
            SERVER_SPOKE_NO_TLS => {
                "the server answered in something else than TLS: it does not speak it at that port"
                    .to_owned()
            }
            CLIENT_SPOKE_NO_TLS => {
                "the server speaks TLS at that port, and the client spoke something else".to_owned()
            }
            alert => {
                let name = outcome::tls_failure(alert);
                let meant = u8::try_from(alert).ok().and_then(meaning);
                let meant = meant.map_or_else(String::new, |meant| {
                    let meant = meant.replace("{by}", by);
                    format!(": {}", meant.replace("{other}", other(by)))
                });
                format!("the {by} sent the alert {name}{meant}")
            }
        })
    }

    /// What its certificates say that may have made a client turn away.
    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for (place, certificate) in self.certificates.iter().enumerate() {
            let which = match place {
                0 => "the server's certificate".to_owned(),
                place => format!("certificate {} of its chain", place + 1),
            };
            let doubt = certificate.doubt(self.start_ns);
            doubts.extend(doubt.map(|doubt| format!("{which} {doubt}")));
        }
        if self.flags & 128 != 0 {
            doubts.push(
                "the name that the client asked for is not among those of the server's certificate"
                    .to_owned(),
            );
        }
        if let [only] = &self.certificates[..]
            && only.is_self_issued
        {
            doubts.push("the server's certificate is issued by itself".to_owned());
        }
        doubts
    }
}

impl Alert {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        Some(Self {
            after_ns: parts.next()?.parse().ok()?,
            by: match parts.next()? {
                "client" => "client",
                _ => "server",
            },
            said: parts
                .next()
                .and_then(|level| level.parse().ok())
                .zip(parts.next().and_then(|said| said.parse().ok())),
        })
    }

    /// Level and name.
    pub(crate) fn words(&self) -> String {
        match self.said {
            None => "encrypted".to_owned(),
            Some((level, said)) => {
                let level = match level {
                    1 => "warning",
                    2 => "fatal",
                    _ => "of an unknown level",
                };
                let name = alert_name(said).unwrap_or("of an unknown kind");
                format!("{level} {name} ({said})")
            }
        }
    }
}

/// Name of a version, or its number.
pub(crate) fn version(version: u16) -> String {
    version_name(version).map_or_else(|| format!("0x{version:04x}"), str::to_owned)
}

/// Name of a cipher suite, or its number.
pub(crate) fn cipher(cipher: u16) -> String {
    cipher_name(cipher).map_or_else(|| format!("0x{cipher:04x}"), str::to_owned)
}

/// Versions in a row.
pub(crate) fn versions(all: &[u16]) -> String {
    let names: Vec<_> = all.iter().copied().map(version).collect();
    names.join(", ")
}

/// Protocols in a row, as far as IANA knows them: what anybody may make up is none of our words.
pub(crate) fn protocols(names: &[String]) -> String {
    let names = names.iter().map(|name| {
        let known = KNOWN_PROTOCOLS.iter().find(|known| *known == name);
        known.copied().unwrap_or("(another)")
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Those that not all are known of.
pub(crate) fn unknown_protocols(names: &[String]) -> Option<String> {
    let is_known = |name: &String| KNOWN_PROTOCOLS.contains(&name.as_str());
    (!names.iter().all(is_known)).then(|| names.join(", "))
}

fn other(by: &str) -> &'static str {
    if by == "client" { "server" } else { "client" }
}

/// What an alert means to whoever looks for the reason (RFC 8446, section 6.2).
fn meaning(alert: u8) -> Option<&'static str> {
    Some(match alert {
        10 => "the {other} sent a message that was not due",
        20 | 51 => {
            "what the {other} sent does not fit its keys: it was changed on the way, or an end is broken"
        }
        40 => "no cipher suite or other parameter in common, or the {other} lacks a certificate",
        42 => {
            "it does not accept the {other}'s certificate, as when that is for another name or damaged"
        }
        43 => "the {other}'s certificate is of a kind that it does not take",
        44 => "the {other}'s certificate is revoked",
        45 => "the {other}'s certificate is expired or not yet valid, by the {by}'s clock",
        46 => "it does not accept the {other}'s certificate",
        48 => {
            "it does not trust who issued the {other}'s certificate, or the chain lacks one in between"
        }
        49 => "the {other}'s certificate is good and not allowed in",
        70 => "no version of TLS in common",
        71 => "the {other} offers nothing that is strong enough for the {by}",
        80 => "the {by} failed for a reason of its own; its log may tell",
        86 => "the {other} tried an older version than it can",
        90 => "it was called off",
        109 | 110 => "an extension is missing or was not asked for",
        112 => "the server does not know the name that was asked for",
        115 => "the server does not know the pre-shared key",
        116 => "the server asks for a client certificate, and none was sent",
        120 => "no protocol of ALPN in common",
        121 => "the server's keys for Encrypted Client Hello have changed",
        _ => return None,
    })
}

/// Failures behind `outcome::TLS` that are no alerts.
const ENCRYPTED_ALERT: i64 = 300;
const NOT_ANSWERED: i64 = 301;
const NOT_FINISHED: i64 = 302;
const SERVER_SPOKE_NO_TLS: i64 = 303;
const CLIENT_SPOKE_NO_TLS: i64 = 304;
const TLS_1_3: u16 = 0x0304;
/// Of IANA's registry, those that are met.
const KNOWN_PROTOCOLS: [&str; 16] = [
    "h2",
    "http/1.1",
    "http/1.0",
    "h3",
    "acme-tls/1",
    "dot",
    "ftp",
    "imap",
    "pop3",
    "managesieve",
    "mqtt",
    "ntske/1",
    "postgresql",
    "smb",
    "tds/8.0",
    "xmpp-client",
];
