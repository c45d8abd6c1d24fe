//! What header fields ask for and agree to.

use headwater_protocols::websocket::Handshake;

type Field = (&'static str, &'static str);

fn bytes(fields: &[Field]) -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
    fields
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

/// RFC 6455, 1.2, with an extension.
const REQUEST: &[Field] = &[
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Origin", "http://example.com"),
    ("Sec-WebSocket-Protocol", "chat, superchat"),
    (
        "Sec-WebSocket-Extensions",
        "permessage-deflate; client_max_window_bits",
    ),
    ("Sec-WebSocket-Version", "13"),
];
const RESPONSE: &[Field] = &[
    ("upgrade", "WebSocket"),
    ("connection", "keep-alive, upgrade"),
    ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ("Sec-WebSocket-Protocol", "chat"),
];

#[test]
fn the_example_of_the_rfc() {
    let asked = Handshake::request(bytes(REQUEST)).unwrap();
    assert_eq!(asked.subprotocol, Some(b"chat, superchat".as_slice()));
    assert_eq!((asked.version, asked.compression), (Some(13), true));
    let agreed = Handshake::response(101, bytes(RESPONSE)).unwrap();
    assert_eq!(agreed.subprotocol, Some(b"chat".as_slice()));
    assert_eq!((agreed.extensions, agreed.compression), (None, false));
}

#[test]
fn requests() {
    let cases: &[(&[Field], bool)] = &[
        (&[], false),
        (&[("Upgrade", "websocket")], false),
        (&[("Connection", "upgrade")], false),
        (
            &[
                ("Upgrade", "h2c, WEBSOCKET"),
                ("Connection", "a"),
                ("Connection", "b,UPGRADE"),
            ],
            true,
        ),
        (&[("Upgrade", "h2c"), ("Connection", "upgrade")], false),
        (
            &[("Upgrade", "websockets"), ("Connection", "upgrade")],
            false,
        ),
        (&[(":method", "CONNECT"), (":protocol", "websocket")], false),
    ];
    for (fields, asks) in cases {
        assert_eq!(
            Handshake::request(bytes(fields)).is_some(),
            *asks,
            "{fields:?}"
        );
    }
}

#[test]
fn responses() {
    assert!(Handshake::response(200, bytes(RESPONSE)).is_none());
    assert!(Handshake::response(400, bytes(RESPONSE)).is_none());
    assert!(Handshake::response(101, bytes(&RESPONSE[..1])).is_none());
}

#[test]
fn extended_connect() {
    let asks = |protocol| {
        let fields = [(":method", "CONNECT"), (":protocol", protocol)];
        Handshake::connect_request(
            fields.map(|(name, value): (&str, &'static str)| (name.as_bytes(), value.as_bytes())),
        )
        .is_some()
    };
    assert!(asks("websocket") && !asks("connect-udp"));
    assert!(Handshake::connect_request(bytes(REQUEST)).is_none());
    assert!(Handshake::connect_response(200, bytes(&[("server", "h2")])).is_some());
    assert!(Handshake::connect_response(403, bytes(&[("server", "h2")])).is_none());
}
