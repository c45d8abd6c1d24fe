//! UDP datagrams from or to port 53 out of a capture file.

use std::{fs::File, net::IpAddr, path::Path};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_parser::{
    Block, Linktype, PcapBlockOwned, PcapError, create_reader, traits::PcapNGPacketBlock as _,
};

/// A datagram.
pub(crate) struct Datagram {
    /// Lower address and port first, so that both ways have the same.
    pub(crate) flow: [(IpAddr, u16); 2],
    pub(crate) to_server: bool,
    pub(crate) payload: Vec<u8>,
    pub(crate) wire_length: usize,
}

pub(crate) fn datagrams(path: &Path) -> Vec<Datagram> {
    let mut reader = create_reader(1 << 20, File::open(path).unwrap()).unwrap();
    let mut datagrams = Vec::new();
    let mut link = None;
    loop {
        match reader.next() {
            Ok((size, block)) => {
                match &block {
                    PcapBlockOwned::LegacyHeader(header) => link = Some(header.network),
                    PcapBlockOwned::Legacy(packet) => {
                        datagrams.extend(datagram(link.unwrap(), packet.data));
                    }
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        link = Some(interface.linktype);
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        datagrams.extend(datagram(link.unwrap(), packet.packet_data()));
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(size);
            }
            Err(PcapError::Eof) => return datagrams,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{}: {error:?}", path.display()),
        }
    }
}

fn datagram(link: Linktype, frame: &[u8]) -> Option<Datagram> {
    let packet = match link {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(frame).ok()?,
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => LaxSlicedPacket::from_ip(frame).ok()?,
        Linktype::NULL => LaxSlicedPacket::from_ip(frame.get(4..)?).ok()?,
        other => panic!("link type {other}"),
    };
    let (source, destination): (IpAddr, IpAddr) = match packet.net? {
        LaxNetSlice::Ipv4(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        LaxNetSlice::Ipv6(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        LaxNetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Udp(udp)) = packet.transport else {
        return None;
    };
    let ports = [udp.source_port(), udp.destination_port()];
    let mut flow = [(source, ports[0]), (destination, ports[1])];
    flow.sort_unstable();
    ports.contains(&53).then(|| Datagram {
        flow,
        to_server: ports[1] == 53,
        payload: udp.payload().to_vec(),
        wire_length: usize::from(udp.length()).saturating_sub(8),
    })
}
