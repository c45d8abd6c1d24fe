//! The opening handshake's header fields (RFC 6455, 4).
//!
//! Owns: whether a request asks for WebSocket and a response agrees to it, over HTTP/1.1 (Upgrade) and over HTTP/2 and 3
//! (extended CONNECT, RFC 8441), and what they agree on. Refuses: to prove it: the key and its hash are not looked at.

/// What a request asks for, or a response agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Handshake<'a> {
    /// The first Sec-WebSocket-Protocol: a list in a request, one name in a response.
    pub subprotocol: Option<&'a [u8]>,
    /// The first Sec-WebSocket-Extensions.
    pub extensions: Option<&'a [u8]>,
    /// Sec-WebSocket-Version, where it is a number; 13 is RFC 6455's.
    pub version: Option<u8>,
    /// Any Sec-WebSocket-Extensions names permessage-deflate (RFC 7692).
    pub compression: bool,
}

impl<'a> Handshake<'a> {
    /// What the HTTP/1.1 request with these `fields` asks for; `None` when it does not ask for WebSocket.
    pub fn request(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Option<Self> {
        let read = Read::all(fields);
        read.upgrades().then_some(read.handshake)
    }

    /// What the HTTP/1.1 response with this `status` and these `fields` agrees to; `None` when it does not agree.
    pub fn response(
        status: u16,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Option<Self> {
        let read = Read::all(fields);
        (status == 101 && read.upgrades()).then_some(read.handshake)
    }

    /// What the extended CONNECT with these `fields`, pseudo-header fields among them, asks for; `None` when it does not
    /// ask for WebSocket.
    pub fn connect_request(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Option<Self> {
        let read = Read::all(fields);
        read.extended_connect.then_some(read.handshake)
    }

    /// What the response with this `status` and these `fields` to such a CONNECT agrees to; `None` when it does not agree.
    pub fn connect_response(
        status: u16,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Option<Self> {
        (200..=299)
            .contains(&status)
            .then(|| Read::all(fields).handshake)
    }
}

#[derive(Default)]
struct Read<'a> {
    handshake: Handshake<'a>,
    /// Upgrade names websocket.
    upgrade: bool,
    /// Connection names upgrade.
    connection: bool,
    /// `:protocol` is websocket.
    extended_connect: bool,
}

impl<'a> Read<'a> {
    fn all(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut read = Self::default();
        for (name, value) in fields {
            read.field(name, value);
        }
        read
    }

    fn field(&mut self, name: &[u8], value: &'a [u8]) {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("upgrade") {
            self.upgrade |= lists(value, b"websocket");
        } else if is("connection") {
            self.connection |= lists(value, b"upgrade");
        } else if is(":protocol") {
            self.extended_connect |= value.eq_ignore_ascii_case(b"websocket");
        } else if is("sec-websocket-protocol") {
            self.handshake.subprotocol.get_or_insert(value);
        } else if is("sec-websocket-extensions") {
            self.handshake.extensions.get_or_insert(value);
            self.handshake.compression |= lists(value, b"permessage-deflate");
        } else if is("sec-websocket-version") && self.handshake.version.is_none() {
            self.handshake.version = std::str::from_utf8(value.trim_ascii())
                .ok()
                .and_then(|version| version.parse().ok());
        }
    }

    fn upgrades(&self) -> bool {
        self.upgrade && self.connection
    }
}

/// Whether a comma-separated list has `token` as an element, with parameters or without.
fn lists(value: &[u8], token: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|element| {
        element
            .split(|byte| *byte == b';')
            .next()
            .is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(token))
    })
}
