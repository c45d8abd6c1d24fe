//! What is known of a handshake. Captured text is as it was sent: hostile.

use super::certificate::Certificate;
use crate::http1::Direction;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// When the ClientHello came, or what was seen of the handshake first.
    pub begun_ns: u64,
    /// The ClientHello; of two the first.
    pub client: Option<ClientHello>,
    /// The ServerHello.
    pub server: Option<ServerHello>,
    /// The server asked for another ClientHello (HelloRetryRequest).
    pub is_retried: bool,
    /// The session was resumed, and how that is known.
    pub resumption: Option<Resumption>,
    /// The server's certificates, its own first; up to TLS 1.2. At most [`Facts::MOST_CERTIFICATES`].
    pub certificates: Vec<Certificate>,
    /// How many it sent, as far as they were seen.
    pub certificate_count: u32,
    /// Not all of them were seen.
    pub is_chain_cut: bool,
    /// Whether the name that the client asked for stands in the server's certificate; where both are known.
    pub is_name_right: Option<bool>,
    /// The client's certificate; up to TLS 1.2.
    pub client_certificate: Option<ClientCertificate>,
    /// Alerts, the first [`Facts::MOST_ALERTS`]; a fatal one behind them stands in the place of the last.
    pub alerts: Vec<Alert>,
    /// When the handshake was over: the last Finished, as far as that can be seen.
    pub done_ns: Option<u64>,
}

impl Facts {
    /// Certificates told of a connection.
    pub const MOST_CERTIFICATES: usize = 8;
    /// Alerts told of a connection.
    pub const MOST_ALERTS: usize = 4;
    /// Values of a list that a hello offers.
    pub const MOST_OFFERED: usize = 8;
    /// So many bytes of memory are enough for those of most connections. What goes beyond is counted as held.
    pub const ORDINARY_BYTES: usize = 2048;

    /// The version that was chosen.
    pub fn version(&self) -> Option<u16> {
        self.server.as_ref().map(|server| server.version)
    }

    /// Bytes of memory in lists and names.
    pub(super) fn bytes(&self) -> usize {
        let of = |name: &Option<Vec<u8>>| name.as_ref().map_or(0, Vec::capacity);
        let certificates = self.certificates.iter().map(|certificate| {
            of(&certificate.subject) + of(&certificate.issuer) + of_names(&certificate.names)
        });
        let client = self.client.as_ref().map_or(0, |client| {
            client.versions.capacity() * size_of::<u16>()
                + of_names(&client.alpn)
                + of(&client.server_name)
                + client.ja4.capacity()
                + client.session_id.capacity()
        });
        client
            + self.server.as_ref().map_or(0, |server| of(&server.alpn))
            + self.certificates.capacity() * size_of::<Certificate>()
            + certificates.sum::<usize>()
            + self.alerts.capacity() * size_of::<Alert>()
    }
}

fn of_names(names: &Vec<Vec<u8>>) -> usize {
    let text: usize = names.iter().map(Vec::capacity).sum();
    names.capacity() * size_of::<Vec<u8>>() + text
}

/// What a client offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// Versions, in its order, without those of GREASE (RFC 8701).
    pub versions: Vec<u16>,
    /// Protocols (ALPN, RFC 7301), in its order. Hostile.
    pub alpn: Vec<Vec<u8>>,
    /// The name that it asks for (SNI, RFC 6066); with `has_ech` perhaps a stand-in. Hostile.
    pub server_name: Option<Vec<u8>>,
    /// It offers Encrypted Client Hello (RFC 9849), or pretends to (GREASE), which looks the same.
    pub has_ech: bool,
    /// A session to be resumed: a session id, a ticket or a PSK.
    pub offers_resumption: bool,
    /// Data in its first flight (0-RTT).
    pub offers_early_data: bool,
    /// JA4 (FoxIO): letters, digits and underscores.
    pub ja4: String,
    /// Of TLS up to 1.2.
    pub(super) session_id: Vec<u8>,
}

/// What the server chose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerHello {
    /// Version.
    pub version: u16,
    /// Cipher suite, as IANA numbers them.
    pub cipher: u16,
    /// Protocol (ALPN); in TLS 1.3 that is encrypted. Hostile.
    pub alpn: Option<Vec<u8>>,
}

/// How a session was resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumption {
    /// The server took a pre-shared key (TLS 1.3).
    Psk,
    /// The server sent back the client's session id (up to TLS 1.2; with a ticket as well, RFC 5077).
    Session,
}

/// What became of the client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Asked for.
    Asked,
    /// Asked for, and the client sent none.
    None,
    /// Sent, so many with those that vouch for it.
    Sent(u32),
}

/// An alert (RFC 8446, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// When.
    pub at_ns: u64,
    /// Where it went: to the server means by the client.
    pub direction: Direction,
    /// Level and description; `None` where it is encrypted. In TLS 1.3 it is known by its length alone then.
    pub said: Option<(u8, u8)>,
    /// The other end had closed before: that is what it tells of.
    pub(super) is_late: bool,
}

impl Alert {
    /// It ends the handshake: it is fatal.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self.said, Some((2, _))) && !self.is_late
    }

    /// It is another than close_notify.
    pub(super) fn is_error(&self) -> bool {
        !matches!(self.said, Some((_, 0))) && !self.is_late
    }
}
