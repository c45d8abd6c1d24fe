//! What is in a ClientHello and a ServerHello (RFC 8446, section 4.1; RFC 5246, section 7.4.1).

use tls_parser::{
    TlsExtension, parse_tls_client_hello_extension, parse_tls_extension_signature_algorithms,
    parse_tls_handshake_client_hello, parse_tls_handshake_server_hello,
};

use super::facts::{ClientHello, Facts, ServerHello};
use super::ja4::{self, Parts, is_grease};

/// Reads a ClientHello.
pub(super) fn client(body: &[u8]) -> Option<ClientHello> {
    let (_, hello) = parse_tls_handshake_client_hello(body).ok()?;
    let mut told = ClientHello {
        session_id: hello.session_id.unwrap_or_default().to_vec(),
        ..ClientHello::default()
    };
    let mut kinds = Vec::new();
    let mut signature_algorithms = Vec::new();
    let mut first_alpn = None;
    for (kind, whole, content) in extensions(hello.ext.unwrap_or_default()) {
        kinds.push(kind);
        match kind {
            SIGNATURE_ALGORITHMS => {
                if let Ok((_, TlsExtension::SignatureAlgorithms(list))) =
                    parse_tls_extension_signature_algorithms(whole)
                {
                    signature_algorithms = list;
                }
            }
            SESSION_TICKET if !content.is_empty() => told.offers_resumption = true,
            PRE_SHARED_KEY => told.offers_resumption = true,
            EARLY_DATA => told.offers_early_data = true,
            ENCRYPTED_CLIENT_HELLO => told.has_ech = true,
            _ => {}
        }
        if !matches!(kind, ALPN | SERVER_NAME | SUPPORTED_VERSIONS) {
            continue;
        }
        match parse_tls_client_hello_extension(whole) {
            Ok((_, TlsExtension::SNI(names))) => {
                let host = names.iter().find(|(kind, _)| kind.0 == 0);
                told.server_name = host
                    .map(|(_, name)| *name)
                    .filter(|name| !name.is_empty() && name.len() <= MOST_NAME_BYTES)
                    .map(<[u8]>::to_vec);
            }
            Ok((_, TlsExtension::ALPN(names))) => {
                first_alpn = names.first().copied();
                let names = names
                    .into_iter()
                    .filter(|name| name.len() <= MOST_ALPN_BYTES);
                told.alpn = names
                    .map(<[u8]>::to_vec)
                    .take(Facts::MOST_OFFERED)
                    .collect();
            }
            Ok((_, TlsExtension::SupportedVersions(versions))) => {
                let versions = versions.into_iter().map(|version| version.0);
                told.versions = versions
                    .filter(|version| !is_grease(*version))
                    .take(Facts::MOST_OFFERED)
                    .collect();
            }
            _ => {}
        }
    }
    if told.versions.is_empty() {
        told.versions.push(hello.version.0);
    }
    // Where TLS 1.3 is offered, a session id is there for its looks (RFC 8446, appendix D.4).
    if !told.session_id.is_empty() && !told.versions.contains(&super::TLS_1_3) {
        told.offers_resumption = true;
    }
    let ciphers: Vec<u16> = hello.ciphers.iter().map(|cipher| cipher.0).collect();
    told.ja4 = ja4::ja4(&Parts {
        version: told.versions.iter().copied().max().unwrap_or(0),
        ciphers: &ciphers,
        extensions: &kinds,
        signature_algorithms: &signature_algorithms,
        alpn: first_alpn,
    });
    Some(told)
}

/// What a ServerHello comes to.
pub(super) enum Answer {
    /// The server wants another ClientHello.
    Retry,
    Chosen {
        hello: ServerHello,
        session_id: Vec<u8>,
        has_psk: bool,
    },
}

/// Reads a ServerHello.
pub(super) fn server(body: &[u8]) -> Option<Answer> {
    let (_, hello) = parse_tls_handshake_server_hello(body).ok()?;
    let mut told = ServerHello {
        version: hello.version.0,
        cipher: hello.cipher.0,
        alpn: None,
    };
    let mut has_psk = false;
    for (kind, whole, content) in extensions(hello.ext.unwrap_or_default()) {
        match (kind, content) {
            (SUPPORTED_VERSIONS, [high, low]) => told.version = u16::from_be_bytes([*high, *low]),
            (PRE_SHARED_KEY, _) => has_psk = true,
            (ALPN, _) => {
                if let Ok((_, TlsExtension::ALPN(names))) = parse_tls_client_hello_extension(whole)
                {
                    let first = names.first().filter(|name| name.len() <= MOST_ALPN_BYTES);
                    told.alpn = first.map(|name| name.to_vec());
                }
            }
            _ => {}
        }
    }
    Some(if hello.random == RETRY {
        Answer::Retry
    } else {
        Answer::Chosen {
            hello: told,
            session_id: hello.session_id.unwrap_or_default().to_vec(),
            has_psk,
        }
    })
}

/// Each extension: type, all of it, content. What is cut short ends the list.
fn extensions(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (&[a, b, c, d], _) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([c, d]));
        let (whole, behind) = rest.split_at_checked(4 + length)?;
        rest = behind;
        Some((u16::from_be_bytes([a, b]), whole, whole.get(4..)?))
    })
}

const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const MOST_NAME_BYTES: usize = 255;
const MOST_ALPN_BYTES: usize = 64;

/// The random bytes of a HelloRetryRequest (RFC 8446, section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
