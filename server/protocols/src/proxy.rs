//! The header of the PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): what a proxy says of its client before it
//! passes on anything of it. Reading is `ppp`'s.
//!
//! Owns: what such a header says, and where it ends. Keeps nothing: the caller gives all bytes of the direction so far.

use std::net::SocketAddr;

use ppp::{HeaderResult, PartialResult, v1, v2};

/// What a line of version 1 begins with.
const LINE: &[u8] = b"PROXY ";
/// Bytes of a line of version 1, its end included.
const LONGEST_LINE: usize = 107;

/// What a header says. Whoever connects may say it: it is a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 1 or 2.
    pub version: u8,
    /// Whom the proxy stands for, and where that one had connected to. None where it speaks for itself (`LOCAL`), does not know
    /// (`UNKNOWN`), or stands for somebody at a Unix socket.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// What the first bytes of a direction are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// They may become a header.
    Undecided,
    /// Something else.
    Other,
    /// A header, in so many bytes.
    Header(Header, usize),
}

/// Looks at the first bytes of what a client sends.
#[must_use]
pub fn begins(data: &[u8]) -> Beginning {
    if LINE.starts_with(data) || v2::PROTOCOL_PREFIX.starts_with(data) {
        return Beginning::Undecided;
    }
    if !data.starts_with(LINE) && !data.starts_with(v2::PROTOCOL_PREFIX) {
        return Beginning::Other;
    }
    // The parser takes a line that is cut behind some of its spaces for a wrong one.
    let line = data.get(..LONGEST_LINE).unwrap_or(data);
    if line.starts_with(LINE) && line.len() < LONGEST_LINE && !line.contains(&b'\n') {
        return Beginning::Undecided;
    }
    let result = HeaderResult::parse(data);
    if result.is_incomplete() {
        return Beginning::Undecided;
    }
    match result {
        HeaderResult::V1(Ok(header)) => {
            let addresses = match header.addresses {
                v1::Addresses::Unknown => None,
                v1::Addresses::Tcp4(all) => Some((
                    SocketAddr::from((all.source_address, all.source_port)),
                    SocketAddr::from((all.destination_address, all.destination_port)),
                )),
                v1::Addresses::Tcp6(all) => Some((
                    SocketAddr::from((all.source_address, all.source_port)),
                    SocketAddr::from((all.destination_address, all.destination_port)),
                )),
            };
            let version = 1;
            Beginning::Header(Header { version, addresses }, header.header.len())
        }
        HeaderResult::V2(Ok(header)) => {
            let addresses = match header.addresses {
                _ if header.command == v2::Command::Local => None,
                v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
                v2::Addresses::IPv4(all) => Some((
                    SocketAddr::from((all.source_address, all.source_port)),
                    SocketAddr::from((all.destination_address, all.destination_port)),
                )),
                v2::Addresses::IPv6(all) => Some((
                    SocketAddr::from((all.source_address, all.source_port)),
                    SocketAddr::from((all.destination_address, all.destination_port)),
                )),
            };
            let version = 2;
            Beginning::Header(Header { version, addresses }, header.header.len())
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Beginning::Other,
    }
}
