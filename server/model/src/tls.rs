//! What the handshake of TLS said in clear.
//!
//! Numbers of versions, cipher suites and alerts are IANA's. Names in it were captured, and redacted like those of hosts.

use headwater_redact::Text;

use crate::Side;

/// What is known of a handshake (RFC 8446, RFC 5246).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Tls {
    /// When the ClientHello came, or what was seen of it first.
    pub begun_ns: u64,
    /// When it was over: the last Finished, as far as that can be seen.
    pub done_ns: Option<u64>,
    /// Versions that the client offers, in its order.
    pub offered_versions: Vec<u16>,
    /// The version that was chosen.
    pub version: Option<u16>,
    /// The cipher suite that was chosen.
    pub cipher: Option<u16>,
    /// Protocols that the client offers (ALPN), in its order.
    pub offered_alpn: Vec<Text>,
    /// The one that was chosen; in TLS 1.3 that is encrypted.
    pub alpn: Option<Text>,
    /// The name that the client asks for (SNI); with `has_ech` perhaps a stand-in.
    pub server_name: Option<Text>,
    /// The client offers Encrypted Client Hello (RFC 9849), or pretends to.
    pub has_ech: bool,
    /// JA4; made of the ClientHello, letters, digits and underscores.
    pub ja4: Option<String>,
    /// The server asked for another ClientHello.
    pub is_retried: bool,
    /// The client offers to resume a session.
    pub offers_resumption: bool,
    /// The client offers data in its first flight.
    pub offers_early_data: bool,
    /// The session was resumed.
    pub resumption: Option<TlsResumption>,
    /// The server's certificates, its own first; up to TLS 1.2. A few at most.
    pub certificates: Vec<TlsCertificate>,
    /// How many it sent, as far as they were seen.
    pub certificate_count: u32,
    /// Not all of them were seen.
    pub is_chain_cut: bool,
    /// Whether the name that was asked for stands in the server's certificate.
    pub is_name_right: Option<bool>,
    /// What became of the client's certificate; up to TLS 1.2.
    pub client_certificate: Option<TlsClientCertificate>,
    /// The first alerts.
    pub alerts: Vec<TlsAlert>,
    /// What the handshake failed of.
    pub failure: Option<TlsFailure>,
}

/// How a session was resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsResumption {
    /// By a pre-shared key (TLS 1.3).
    Psk,
    /// By a session id or a ticket (up to TLS 1.2).
    Session,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsCertificate {
    /// SHA-256 of all of it.
    pub sha256: [u8; 32],
    /// Common name of the subject.
    pub subject: Option<Text>,
    /// Common name of the issuer.
    pub issuer: Option<Text>,
    /// Names of hosts that it is for, a few at most.
    pub names: Vec<Text>,
    /// How many there are.
    pub name_count: u32,
    /// Seconds since the Unix epoch, from which it is valid,
    pub not_before: i64,
    /// and until which.
    pub not_after: i64,
    /// Subject and issuer are one.
    pub is_self_issued: bool,
    /// Kind and size of its key.
    pub key: String,
}

/// What became of the client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsClientCertificate {
    /// Asked for; whether it came was not seen.
    Asked,
    /// Asked for, and none was sent.
    None,
    /// Sent, so many with those that vouch for it.
    Sent(u32),
}

/// An alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsAlert {
    /// When.
    pub at_ns: u64,
    /// By whom.
    pub by: Side,
    /// Level and description; `None` where it is encrypted.
    pub said: Option<(u8, u8)>,
}

/// What a handshake failed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFailure {
    /// An alert, by its description.
    Alert {
        /// By whom.
        by: Side,
        /// As IANA numbers it.
        description: u8,
    },
    /// What by its length is an encrypted alert, most likely.
    EncryptedAlert {
        /// By whom.
        by: Side,
    },
    /// The connection ended before the server answered,
    NotAnswered,
    /// or before the client had finished.
    NotFinished,
    /// The server answered in something else.
    ServerSpokeNoTls,
    /// The client spoke something else.
    ClientSpokeNoTls,
}

impl Tls {
    /// Moves every time in it to a later one.
    pub(crate) fn move_later(&mut self, later: impl Fn(&mut u64)) {
        later(&mut self.begun_ns);
        self.done_ns.iter_mut().for_each(&later);
        self.alerts
            .iter_mut()
            .for_each(|alert| later(&mut alert.at_ns));
    }
}
