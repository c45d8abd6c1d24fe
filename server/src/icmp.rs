//! Error messages of ICMP, the same for raw sockets and capture files.
//!
//! Owns: which messages are errors, and the reading of the packet that they quote. Whoever sends one quotes the IP header and
//! eight bytes behind it at least (RFC 792; as much as there is room for: RFC 1812, section 4.3.2.3, and RFC 4443), which of
//! TCP are the ports and the sequence number, of UDP its header. Does not judge whether what is quoted was ever sent.

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxIpSlice};
use headwater_assembly::{IcmpMessage, Quoted, QuotedDatagram, QuotedSegment};

/// What the bytes of a message were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// An error about a packet of TCP or UDP.
    Error(IcmpMessage),
    /// Something else: no error, or about another protocol or a later fragment.
    Other,
    /// An error that is cut, or quotes what is no packet.
    Malformed,
}

/// Types of ICMP that are errors (RFC 792): destination unreachable, source quench, time exceeded, parameter problem. A redirect
/// is none: the packet went on.
pub(crate) const ERRORS: [u8; 4] = [3, 4, 11, 12];
/// Types of ICMPv6 that are errors (RFC 4443): destination unreachable, packet too big, time exceeded, parameter problem.
pub(crate) const ERRORS_6: [u8; 4] = [1, 2, 3, 4];

/// Reads a message, from its own header on; `from` says whether it is one of ICMP or ICMPv6.
pub(crate) fn read(at_ns: u64, netns: u32, from: IpAddr, bytes: &[u8]) -> Read {
    let Some((kind, code)) = bytes.first().zip(bytes.get(1)) else {
        return Read::Malformed;
    };
    let errors = if from.is_ipv4() { ERRORS } else { ERRORS_6 };
    if !errors.contains(kind) {
        return Read::Other;
    }
    let Some((header, packet)) = bytes.split_first_chunk::<HEADER>() else {
        return Read::Malformed;
    };
    match quoted(from, packet) {
        Found::Quoted(quoted) => Read::Error(IcmpMessage {
            at_ns,
            netns,
            from,
            kind: *kind,
            code: *code,
            mtu: mtu(from, *header),
            quoted,
        }),
        Found::Other => Read::Other,
        Found::Malformed => Read::Malformed,
    }
}

/// Type, code, checksum, and four bytes whose meaning is the type's.
const HEADER: usize = 8;

/// RFC 1191, section 4, where routers before it leave zero; RFC 4443, section 3.2.
fn mtu(from: IpAddr, header: [u8; HEADER]) -> Option<u32> {
    let [kind, code, _, _, a, b, c, d] = header;
    match (from, kind, code) {
        (IpAddr::V4(_), 3, 4) => Some(u16::from_be_bytes([c, d]).into()).filter(|mtu| *mtu > 0),
        (IpAddr::V6(_), 2, _) => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    }
}

enum Found {
    Quoted(Quoted),
    Other,
    Malformed,
}

fn quoted(from: IpAddr, packet: &[u8]) -> Found {
    let Ok((ip, _)) = LaxIpSlice::from_slice(packet) else {
        return Found::Malformed;
    };
    let (source, destination) = (ip.source_addr(), ip.destination_addr());
    if source.is_ipv4() != from.is_ipv4() {
        return Found::Malformed;
    }
    let payload = ip.payload();
    if !matches!(payload.ip_number, IpNumber::TCP | IpNumber::UDP) || is_later_fragment(&ip) {
        return Found::Other;
    }
    let Some(([a, b, c, d, rest @ ..], behind)) = payload.payload.split_first_chunk::<8>() else {
        return Found::Malformed;
    };
    let source = SocketAddr::new(source, u16::from_be_bytes([*a, *b]));
    let destination = SocketAddr::new(destination, u16::from_be_bytes([*c, *d]));
    Found::Quoted(if payload.ip_number == IpNumber::TCP {
        Quoted::Segment(QuotedSegment {
            source,
            destination,
            seq: u32::from_be_bytes(*rest),
        })
    } else {
        Quoted::Datagram(QuotedDatagram {
            source,
            destination,
            begins: behind.first_chunk().copied(),
        })
    })
}

/// Whether it is a fragment without ports: all but the first.
fn is_later_fragment(ip: &LaxIpSlice<'_>) -> bool {
    match ip {
        LaxIpSlice::Ipv4(ip) => ip.header().fragments_offset().value() > 0,
        LaxIpSlice::Ipv6(ip) => ip.extensions().clone().into_iter().any(|header| {
            // etherparse 0.19 takes the flags for a part of the offset (RFC 8200, section 4.5).
            let fragment = match header {
                Ipv6ExtensionSlice::Fragment(fragment) => fragment.slice().first_chunk(),
                _ => None,
            };
            fragment.is_some_and(|[_, _, a, b]| u16::from_be_bytes([*a, *b]) >> 3 > 0)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: &str = "10.81.0.1";
    const ROUTER_6: &str = "fd00::1";

    /// A SYN from 10.81.0.2:43568 to 10.82.0.2:8081, refused by a router's rule; the quote as Linux sends it.
    fn prohibited() -> Vec<u8> {
        let mut bytes = vec![3, 13, 0xdb, 0xfb, 0, 0, 0, 0];
        bytes.extend([0x45, 0, 0, 60, 0xbe, 0xcb, 0x40, 0, 63, 6, 0x68, 0x4a]);
        bytes.extend([10, 81, 0, 2, 10, 82, 0, 2]);
        bytes.extend([0xaa, 0x30, 0x1f, 0x91, 0xee, 0xe1, 0x52, 0xe3]);
        bytes.extend([0, 0, 0, 0, 0xa0, 2, 0xfa, 0xf0, 0x14, 0xd5, 0, 0]);
        bytes
    }

    /// The same of ICMPv6: the next link takes 1280 bytes.
    fn too_big() -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 0, 5, 0];
        bytes.extend([0x60, 0, 0, 0, 0, 40, 6, 64]);
        for last in [2, 9] {
            bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        bytes.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 7, 0, 0]);
        bytes
    }

    /// A query of DNS to a port where nobody listens, from 127.0.0.1:40000 to 127.0.0.1:53, its id 0xbeef.
    fn port_unreachable() -> Vec<u8> {
        let mut bytes = vec![3, 3, 0, 0, 0, 0, 0, 0];
        bytes.extend([0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0]);
        bytes.extend([127, 0, 0, 1, 127, 0, 0, 1]);
        bytes.extend([0x9c, 0x40, 0, 53, 0, 12, 0, 0, 0xbe, 0xef, 1, 0]);
        bytes
    }

    fn told(from: &str, bytes: &[u8]) -> Read {
        read(5, 6, from.parse().unwrap(), bytes)
    }

    fn error(read: Read) -> IcmpMessage {
        match read {
            Read::Error(message) => message,
            other => panic!("{other:?}"),
        }
    }

    fn segment(message: &IcmpMessage) -> QuotedSegment {
        match message.quoted {
            Quoted::Segment(segment) => segment,
            Quoted::Datagram(_) => panic!("{message:?}"),
        }
    }

    #[test]
    fn both_versions_are_read() {
        let message = error(told(ROUTER, &prohibited()));
        assert_eq!((message.kind, message.code, message.mtu), (3, 13, None));
        assert_eq!((message.at_ns, message.netns), (5, 6));
        let quoted = segment(&message);
        assert_eq!(quoted.source, "10.81.0.2:43568".parse().unwrap());
        assert_eq!(quoted.destination, "10.82.0.2:8081".parse().unwrap());
        assert_eq!(quoted.seq, 0xeee1_52e3);
        let message = error(told(ROUTER_6, &too_big()));
        assert_eq!(
            (message.kind, message.code, message.mtu),
            (2, 0, Some(1280))
        );
        let quoted = segment(&message);
        assert_eq!(quoted.source, "[fd00::2]:40000".parse().unwrap());
        assert_eq!(quoted.seq, 7);
    }

    #[test]
    fn of_a_datagram_the_ports_and_its_first_bytes_are_read() {
        let whole = port_unreachable();
        for (length, begins) in [
            (whole.len(), Some([0xbe, 0xef])),
            (8 + 20 + 8 + 2, Some([0xbe, 0xef])),
            (8 + 20 + 8 + 1, None),
            (8 + 20 + 8, None),
        ] {
            let expected = QuotedDatagram {
                source: "127.0.0.1:40000".parse().unwrap(),
                destination: "127.0.0.1:53".parse().unwrap(),
                begins,
            };
            let message = error(told("127.0.0.1", &whole[..length]));
            assert_eq!(message.quoted, Quoted::Datagram(expected), "{length}");
        }
        let mut fragment = whole;
        // More of it follows, as behind every first one.
        fragment[8 + 6] = 0x20;
        assert!(matches!(told("127.0.0.1", &fragment), Read::Error(_)));
        fragment[8 + 7] = 1;
        assert_eq!(told("127.0.0.1", &fragment), Read::Other);
    }

    #[test]
    fn later_fragments_of_ipv6_have_no_ports() {
        for (offset, is_told) in [(0x00, true), (0x01, true), (0x09, false), (0x20, false)] {
            let mut bytes = too_big();
            // Next header: fragment, of UDP.
            bytes[8 + 6] = 44;
            bytes.splice(8 + 40..8 + 40, [17, 0, 0, offset, 0, 0, 0, 1]);
            let read = told(ROUTER_6, &bytes);
            assert_eq!(matches!(read, Read::Error(_)), is_told, "{read:?}");
        }
    }

    #[test]
    fn the_next_hops_mtu_is_told() {
        let mut bytes = prohibited();
        (bytes[1], bytes[6], bytes[7]) = (4, 0x05, 0x78);
        assert_eq!(error(told(ROUTER, &bytes)).mtu, Some(1400));
        (bytes[6], bytes[7]) = (0, 0);
        assert_eq!(error(told(ROUTER, &bytes)).mtu, None);
    }

    #[test]
    fn every_prefix_is_whole_or_malformed() {
        for (from, bytes, needed) in [
            (ROUTER, prohibited(), 8 + 20 + 8),
            (ROUTER_6, too_big(), 8 + 40 + 8),
        ] {
            let whole = told(from, &bytes);
            for length in 0..=bytes.len() {
                let read = told(from, &bytes[..length]);
                if length < needed {
                    assert_eq!(read, Read::Malformed, "{length}");
                } else {
                    assert_eq!(read, whole, "{length}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_error_about_tcp_or_udp_is_left_alone() {
        for kind in [0, 5, 8, 9, 13] {
            let mut bytes = prohibited();
            bytes[0] = kind;
            assert_eq!(told(ROUTER, &bytes), Read::Other);
        }
        let mut bytes = prohibited();
        bytes[8 + 9] = 1;
        assert_eq!(told(ROUTER, &bytes), Read::Other, "ICMP");
        let mut bytes = prohibited();
        bytes[8 + 7] = 9;
        assert_eq!(told(ROUTER, &bytes), Read::Other, "a later fragment");
        assert_eq!(told(ROUTER_6, &prohibited()[..3]), Read::Malformed);
        let mut mixed = too_big();
        mixed[0] = 3;
        assert_eq!(told(ROUTER, &mixed), Read::Malformed, "IPv6 within ICMP");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for (from, whole) in [
            (ROUTER, prohibited()),
            (ROUTER, port_unreachable()),
            (ROUTER_6, too_big()),
        ] {
            for at in 0..whole.len() {
                for value in [0, 1, 0x45, 0x4f, 0x60, 0x7f, 0xff] {
                    let mut bytes = whole.clone();
                    bytes[at] = value;
                    told(from, &bytes);
                }
            }
        }
    }
}
