//! The captures, and three ways to see them: whole, byte by byte, and as the probes tell them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use headwater_protocols::http1::Direction;
use headwater_protocols::tls::{Observer, SHORTEST_BEGINNING, begins};
use pcap_parser::{LegacyPcapReader, PcapBlockOwned, PcapError, traits::PcapReaderIterator};

/// One segment with payload, or a FIN.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) direction: Direction,
    pub(crate) at_ns: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) is_fin: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Whole,
    Bytewise,
    /// Of a turn that begins with a handshake record 8 KiB, of one that begins with an alert 64 bytes, else nothing.
    Live,
}

/// The connections of a capture, in the order of their beginning.
pub(crate) fn connections(name: &str) -> Vec<Vec<Segment>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls/captures");
    let file = std::fs::File::open(folder.join(name).with_extension("pcap")).unwrap();
    let mut reader = LegacyPcapReader::new(1 << 16, file).unwrap();
    let mut found: Vec<(u16, Vec<Segment>)> = Vec::new();
    let mut next: BTreeMap<(u16, u16), u32> = BTreeMap::new();
    loop {
        match reader.next() {
            Ok((offset, block)) => {
                if let PcapBlockOwned::Legacy(packet) = block {
                    let at_ns = u64::from(packet.ts_sec) * 1_000_000_000
                        + u64::from(packet.ts_usec) * 1_000;
                    packet_of(packet.data, at_ns, &mut found, &mut next);
                }
                reader.consume(offset);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
    found.into_iter().map(|(_, segments)| segments).collect()
}

fn packet_of(
    data: &[u8],
    at_ns: u64,
    found: &mut Vec<(u16, Vec<Segment>)>,
    next: &mut BTreeMap<(u16, u16), u32>,
) {
    let sliced = SlicedPacket::from_ethernet(data).unwrap();
    assert!(matches!(sliced.net, Some(NetSlice::Ipv4(_))));
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
        panic!("no TCP");
    };
    let ports = (tcp.source_port(), tcp.destination_port());
    let is_server = (14_400..14_500).contains(&ports.0);
    let client = if is_server { ports.1 } else { ports.0 };
    if tcp.syn() {
        next.insert(ports, tcp.sequence_number().wrapping_add(1));
        if !is_server {
            found.push((client, Vec::new()));
        }
        return;
    }
    let payload = tcp.payload();
    let place = next.get_mut(&ports).unwrap();
    if (payload.is_empty() && !tcp.fin()) || *place != tcp.sequence_number() {
        return;
    }
    *place = place.wrapping_add(u32::try_from(payload.len()).unwrap());
    let (_, segments) = found
        .iter_mut()
        .rev()
        .find(|(port, _)| *port == client)
        .unwrap();
    segments.push(Segment {
        direction: if is_server {
            Direction::ToClient
        } else {
            Direction::ToServer
        },
        at_ns,
        payload: payload.to_vec(),
        is_fin: tcp.fin(),
    });
}

/// Shows a connection to an observer.
pub(crate) fn play(segments: &[Segment], how: How) -> Observer {
    let mut observer = Observer::default();
    let mut speaker = None;
    let mut room = 0;
    for segment in segments {
        let (direction, at_ns) = (segment.direction, segment.at_ns);
        let data = &segment.payload;
        match how {
            How::Whole => observer.bytes(direction, at_ns, data),
            How::Bytewise => {
                for byte in data {
                    observer.bytes(direction, at_ns, &[*byte]);
                }
            }
            How::Live if !data.is_empty() => {
                if speaker != Some(direction) {
                    speaker = Some(direction);
                    room = match data[..] {
                        [0x16, 3, ..] => 8192,
                        [0x15, 3, ..] | [b'A'..=b'Z', ..] => 64,
                        _ => 0,
                    };
                    observer.turn(direction);
                }
                let (copied, counted) = data.split_at(data.len().min(room));
                room -= copied.len();
                observer.bytes(direction, at_ns, copied);
                if !counted.is_empty() {
                    observer.skipped(direction, at_ns, counted.len() as u64);
                }
            }
            How::Live => {}
        }
        if segment.is_fin {
            observer.closed(direction, at_ns);
        }
        assert!(observer.held_bytes() <= 64 << 10);
    }
    observer
}

/// The only connection of a capture, seen in a way.
pub(crate) fn seen(name: &str, how: How) -> Observer {
    let connections = connections(name);
    let [segments] = &connections[..] else {
        panic!("{name} has {} connections", connections.len());
    };
    let first = segments
        .iter()
        .find(|segment| !segment.payload.is_empty())
        .unwrap();
    for length in 0..=first.payload.len().min(20) {
        let known = (length >= SHORTEST_BEGINNING).then_some(true);
        let beginning = &first.payload[..length];
        assert_eq!(begins(first.direction, beginning), known, "{name} {length}");
    }
    play(segments, how)
}

pub(crate) const ALL: [How; 3] = [How::Whole, How::Bytewise, How::Live];
