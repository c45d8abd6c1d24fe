//! From a captured frame to a TCP segment, a UDP datagram or an error of ICMP: Ethernet (with VLAN tags), Linux cooked, raw IP, BSD loopback.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use headwater_assembly::{IcmpMessage, TcpFlags};
use headwater_model::{Handshake, IpHeader};
use pcap_parser::Linktype;

use crate::headers::{extensions, handshake, ip_header};
use crate::icmp;

/// One TCP segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) flags: TcpFlags,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    /// Window, not scaled.
    pub(crate) window: u16,
    /// Its IP header.
    pub(crate) ip: IpHeader,
    /// What it offers, when it is a SYN or SYN-ACK.
    pub(crate) handshake: Option<Handshake>,
    /// Payload bytes on the wire.
    pub(crate) payload_length: u32,
    /// Of these, what was captured.
    pub(crate) payload: &'a [u8],
}

impl Segment<'_> {
    /// Sequence number of the payload's first byte: a SYN, which may carry some (RFC 7413), takes one before it.
    pub(crate) fn payload_seq(&self) -> u32 {
        self.seq.wrapping_add(u32::from(self.flags.syn))
    }
}

/// One UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UdpDatagram<'a> {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// Payload bytes on the wire.
    pub(crate) payload_length: u32,
    /// Of these, what was captured.
    pub(crate) payload: &'a [u8],
}

/// What a frame was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// TCP.
    Segment(Segment<'a>),
    /// UDP.
    Datagram(UdpDatagram<'a>),
    /// An error that ICMP tells of a packet of TCP or UDP.
    Icmp(IcmpMessage),
    /// Something else, whole.
    Other,
    /// A part of an IP datagram: not put together.
    Fragment,
    /// A link type that is not read.
    UnknownLink,
}

/// Takes a frame apart. `length` is its size on the wire.
pub(crate) fn take_apart(link: Linktype, at_ns: u64, bytes: &[u8], length: u32) -> Frame<'_> {
    let Some(packet) = slice(link, bytes) else {
        return if known(link) {
            Frame::Other
        } else {
            Frame::UnknownLink
        };
    };
    let Some((source, destination, fragmented, ip_payload)) = packet
        .net
        .as_ref()
        .and_then(|net| addresses(net, length, bytes.len()))
    else {
        return Frame::Other;
    };
    if fragmented {
        return Frame::Fragment;
    }
    let tcp = match packet.transport {
        Some(TransportSlice::Tcp(tcp)) => tcp,
        Some(TransportSlice::Udp(udp)) => {
            let payload_length = ip_payload.saturating_sub(UDP_HEADER);
            let captured = usize::try_from(payload_length)
                .unwrap_or(usize::MAX)
                .min(udp.payload().len());
            return Frame::Datagram(UdpDatagram {
                source: SocketAddr::new(source, udp.source_port()),
                destination: SocketAddr::new(destination, udp.destination_port()),
                payload_length,
                payload: udp.payload().get(..captured).unwrap_or_default(),
            });
        }
        Some(TransportSlice::Icmpv4(message)) => {
            return icmp_error(at_ns, source, message.slice());
        }
        Some(TransportSlice::Icmpv6(message)) => {
            return icmp_error(at_ns, source, message.slice());
        }
        _ => return Frame::Other,
    };
    let header = u32::try_from(tcp.header_slice().len()).unwrap_or(0);
    let payload_length = ip_payload.saturating_sub(header);
    let captured = usize::try_from(payload_length)
        .unwrap_or(usize::MAX)
        .min(tcp.payload().len());
    Frame::Segment(Segment {
        source: SocketAddr::new(source, tcp.source_port()),
        destination: SocketAddr::new(destination, tcp.destination_port()),
        flags: TcpFlags {
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
        },
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        window: tcp.window_size(),
        ip: packet.net.as_ref().map(ip).unwrap_or_default(),
        handshake: tcp.syn().then(|| handshake(at_ns, &tcp)),
        payload_length,
        payload: tcp.payload().get(..captured).unwrap_or_default(),
    })
}

fn icmp_error(at_ns: u64, from: IpAddr, bytes: &[u8]) -> Frame<'_> {
    match icmp::read(at_ns, 0, from, bytes) {
        icmp::Read::Error(message) => Frame::Icmp(message),
        icmp::Read::Other | icmp::Read::Malformed => Frame::Other,
    }
}

fn ip(net: &LaxNetSlice<'_>) -> IpHeader {
    let (first, hop_limit) = match net {
        LaxNetSlice::Ipv4(ip) => (ip.header().slice(), ip.header().ttl()),
        LaxNetSlice::Ipv6(ip) => (ip.header().slice(), ip.header().hop_limit()),
        LaxNetSlice::Arp(_) => return IpHeader::default(),
    };
    IpHeader {
        extensions: extensions(net),
        ..ip_header(first, hop_limit).unwrap_or_default()
    }
}

/// RFC 768.
const UDP_HEADER: u32 = 8;

fn known(link: Linktype) -> bool {
    matches!(link.0, 0 | 1 | 12 | 14 | 101 | 108 | 113 | 228 | 229 | 276)
}

/// Link types by their numbers (pcap-linktype(7)).
fn slice(link: Linktype, bytes: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    match link.0 {
        1 => LaxSlicedPacket::from_ethernet(bytes).ok(),
        // Raw IP, under the numbers that systems have given it.
        12 | 14 | 101 | 228 | 229 => LaxSlicedPacket::from_ip(bytes).ok(),
        // BSD loopback: four bytes of address family, in the capturing host's order or the network's.
        0 | 108 => LaxSlicedPacket::from_ip(bytes.get(4..)?).ok(),
        // Linux cooked: the protocol stands at byte 14 (v1) or 0 (v2).
        113 => cooked(bytes.get(14..16)?, bytes.get(16..)?),
        276 => cooked(bytes.get(..2)?, bytes.get(20..)?),
        _ => None,
    }
}

fn cooked<'a>(protocol: &[u8], rest: &'a [u8]) -> Option<LaxSlicedPacket<'a>> {
    let protocol = u16::from_be_bytes(*protocol.first_chunk()?);
    matches!(protocol, 0x0800 | 0x86dd | 0x8100 | 0x88a8)
        .then(|| LaxSlicedPacket::from_ether_type(EtherType::from(protocol), rest))
}

/// Addresses, whether it is a fragment, and bytes on the wire behind the IP headers.
fn addresses(
    net: &LaxNetSlice<'_>,
    length: u32,
    captured: usize,
) -> Option<(IpAddr, IpAddr, bool, u32)> {
    match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let total = u32::from(header.total_len());
            let own = u32::from(header.ihl()) * 4;
            // Offloaded segments over 64 KiB have a total length of 0: then the frame's length tells.
            let behind = if total == 0 {
                rest_of_frame(length, captured, ip.payload().payload.len())
            } else {
                total.saturating_sub(own)
            };
            let extensions = ip
                .extensions()
                .auth
                .as_ref()
                .map_or(0, |auth| auth.slice().len());
            let behind = behind.saturating_sub(u32::try_from(extensions).ok()?);
            Some((
                header.source_addr().into(),
                header.destination_addr().into(),
                ip.payload().fragmented,
                behind,
            ))
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let total = u32::from(header.payload_length());
            let extensions = u32::try_from(ip.extensions().slice().len()).ok()?;
            let behind = if total == 0 {
                rest_of_frame(length, captured, ip.payload().payload.len())
            } else {
                total.saturating_sub(extensions)
            };
            Some((
                header.source_addr().into(),
                header.destination_addr().into(),
                ip.payload().fragmented,
                behind,
            ))
        }
        LaxNetSlice::Arp(_) => None,
    }
}

/// Bytes on the wire behind the IP headers, from the frame's length: what was captured of them and what was cut off.
fn rest_of_frame(length: u32, captured: usize, payload: usize) -> u32 {
    let cut = usize::try_from(length)
        .unwrap_or(0)
        .saturating_sub(captured);
    u32::try_from(payload + cut).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behind an Ethernet header: TCP over IPv4 with options and payload, over IPv6 behind hop-by-hop options, and UDP.
    fn frames() -> [Vec<u8>; 3] {
        let tcp = [
            &[
                0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x60, 0x18, 1, 0, 0, 0, 0, 0,
            ][..],
            &[2, 4, 5, 0xa0],
            b"GET / HTTP/1.1\r\n\r\n",
        ]
        .concat();
        let four = |protocol: u8, behind: &[u8]| {
            let length = u8::try_from(20 + behind.len()).unwrap();
            let header = [0x45, 0, 0, length, 0, 0, 0x40, 0, 64, protocol, 0, 0];
            let ends = [10, 0, 0, 1, 10, 0, 0, 2];
            [&[2; 12][..], &[8, 0], &header, &ends, behind].concat()
        };
        let length = u8::try_from(8 + tcp.len()).unwrap();
        let six = [0x60, 0, 0, 0, 0, length, 0, 64];
        let options = [6, 0, 1, 4, 0, 0, 0, 0];
        let udp = [0x9c, 0x40, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4];
        [
            four(6, &tcp),
            [
                &[2; 12][..],
                &[0x86, 0xdd],
                &six,
                &[0xfd; 32],
                &options,
                &tcp,
            ]
            .concat(),
            four(17, &udp),
        ]
    }

    #[test]
    fn a_packet_cut_anywhere_tells_what_is_there() {
        for frame in frames() {
            let length = u32::try_from(frame.len()).unwrap();
            let take = |cut| take_apart(Linktype(1), 7, &frame[..cut], length);
            for cut in 0..frame.len() {
                match (take(cut), take(frame.len())) {
                    (Frame::Segment(cut), Frame::Segment(whole)) => {
                        assert!(whole.payload.starts_with(cut.payload));
                        let payload = whole.payload;
                        assert_eq!(Segment { payload, ..cut }, whole);
                    }
                    (Frame::Datagram(cut), Frame::Datagram(whole)) => {
                        assert!(whole.payload.starts_with(cut.payload));
                        let payload = whole.payload;
                        assert_eq!(UdpDatagram { payload, ..cut }, whole);
                    }
                    (Frame::Other, _) => {}
                    (cut, whole) => panic!("{cut:?} of {whole:?}"),
                }
            }
        }
    }

    #[test]
    fn a_packet_of_any_link_type_cut_anywhere_does_no_harm() {
        for frame in frames() {
            for link in 0..300 {
                for cut in 0..=frame.len() {
                    let told = take_apart(Linktype(link), 7, &frame[..cut], u32::MAX);
                    let is_unknown = told == Frame::UnknownLink;
                    assert_eq!(is_unknown, !known(Linktype(link)), "{link} {cut}");
                }
            }
        }
    }
}
