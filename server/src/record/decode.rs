//! From the bytes of a record to the assembly's input.
//!
//! Owns: the reading of `headwater_schema::record`. A record of an unknown kind, another version or too few bytes is
//! counted and skipped. Copies addresses and numbers; payload stays where it is, in the ring buffer. Times stay on the boot
//! clock.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::{LaxSlicedPacket, TcpSlice, TransportSlice};
use headwater_assembly::{
    Datagram, End, Idle, IdleCounts, Input, Look, Owner, Passed, Place, Session, SocketEnd,
    TcpFlags, Turn, Way,
};
use headwater_model::{ExitStatus, Extensions, Handshake, IpHeader, Negotiated, SocketStats};
use headwater_schema::record::{
    DatagramRecord, DropRecord, EXEC_NAME, EXEC_PATH, EndRecord, ExecRecord, ExitRecord, Header,
    IdleRecord, OwnerRecord, SessionRecord, SocketRecord, SynRecord, TurnRecord, VERSION,
    direction, kind, look, negotiated, owned, place, session_fact, socket_field, tcp_flag,
};

use crate::headers::{extensions, handshake, ip_header};

/// LOOPBACK_IFINDEX of include/net/flow.h.
const LOOPBACK: u32 = 1;

/// A program begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exec<'a> {
    pub(crate) at_ns: u64,
    pub(crate) pid: u32,
    pub(crate) start_boot_ns: u64,
    /// Name of the file that runs; empty where the kernel's types are not known.
    pub(crate) name: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) arguments: &'a [u8],
}

/// A process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) pid: u32,
    pub(crate) start_boot_ns: u64,
    pub(crate) at_ns: u64,
    pub(crate) status: ExitStatus,
}

/// A packet that the kernel dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drop {
    /// As its socket would have told of it.
    pub(crate) end: End,
    /// Number of `enum skb_drop_reason`.
    pub(crate) reason: u32,
}

/// What a record was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoded<'a> {
    /// For the assembly.
    Input(Input<'a>),
    /// For the assembly, once its reason has a name.
    Drop(Drop),
    /// For the identities.
    Exec(Exec<'a>),
    /// For the identities, and then for the store.
    Exit(Exit),
    /// Not understood.
    Unknown,
}

/// Reads one record.
pub(crate) fn decode(bytes: &[u8]) -> Decoded<'_> {
    let Some(header) = Header::decode(bytes).filter(|header| header.version == VERSION) else {
        return Decoded::Unknown;
    };
    let decoded = match header.kind {
        kind::TURN => turn(bytes).map(|turn| Decoded::Input(Input::Turn(turn))),
        kind::PLAINTEXT => turn(bytes).map(|turn| Decoded::Input(Input::Plaintext(turn))),
        kind::SESSION => session(bytes).map(|session| Decoded::Input(Input::Session(session))),
        kind::SESSION_END => session(bytes).map(|one| Decoded::Input(Input::SessionEnd(one))),
        kind::SYN => syn(bytes).map(|end| Decoded::Input(Input::Syn(end))),
        kind::OPEN => end(bytes).map(|end| Decoded::Input(Input::Open(end))),
        kind::CLOSE => end(bytes).map(|end| Decoded::Input(Input::Close(end))),
        kind::OWNER => owner(bytes).map(|owner| Decoded::Input(Input::Owner(owner))),
        kind::SOCKET => socket(bytes).map(|socket| Decoded::Input(Input::Socket(socket))),
        kind::IDLE => idle(bytes).map(|idle| Decoded::Input(Input::Idle(idle))),
        kind::DROP => dropped(bytes).map(Decoded::Drop),
        kind::EXEC => exec(bytes).map(Decoded::Exec),
        kind::EXIT => exit(bytes).map(Decoded::Exit),
        kind::DATAGRAM => datagram(bytes).map(|one| Decoded::Input(Input::Datagram(one))),
        kind::DATAGRAM_OWNER => {
            owner(bytes).map(|owner| Decoded::Input(Input::DatagramOwner(owner)))
        }
        _ => None,
    };
    decoded.unwrap_or(Decoded::Unknown)
}

fn exit(bytes: &[u8]) -> Option<Exit> {
    let record = ExitRecord::decode(bytes)?;
    let [signal, code, ..] = record.status.to_le_bytes();
    Some(Exit {
        pid: record.tgid,
        start_boot_ns: record.start_ns,
        at_ns: record.header.at_ns,
        // The eighth bit tells of a core dump (wait(2)).
        status: match signal & 0x7f {
            0 => ExitStatus::Code(code),
            signal => ExitStatus::Signal(signal),
        },
    })
}

fn turn(bytes: &[u8]) -> Option<Turn<'_>> {
    let record = TurnRecord::decode(bytes)?;
    let captured = usize::try_from(record.captured).ok()?;
    Some(Turn {
        at_ns: record.header.at_ns,
        cookie: record.header.cookie,
        way: way(record.direction),
        thread_id: record.tid,
        owned: match record.owned {
            owned::YES => Some(true),
            owned::NO => Some(false),
            _ => None,
        },
        offset: record.offset,
        previous_ns: record.previous_ns,
        previous_last_chunk: record.previous_last_chunk == 1,
        seq: record.seq,
        ack: record.ack,
        payload_length: record.payload_length,
        number: Some(record.number),
        place: match record.place {
            place::FRAME => Place::Frame,
            place::IN_FRAME => Place::InFrame,
            place::IN_WEBSOCKET_FRAME => Place::InWebSocketFrame,
            place::NEW_TURN => Place::NewTurn,
            place::WEBSOCKET_FRAME => Place::WebSocketFrame,
            _ => Place::SameTurn,
        },
        bytes: bytes.get(TurnRecord::SIZE..TurnRecord::SIZE.checked_add(captured)?)?,
    })
}

fn syn(bytes: &[u8]) -> Option<End> {
    let record = SynRecord::decode(bytes)?;
    let captured = usize::try_from(record.captured).ok()?;
    let packet = bytes.get(SynRecord::SIZE..SynRecord::SIZE.checked_add(captured)?)?;
    let mut end = told(&record.end)?;
    if let Some((handshake, extensions)) = handshake_of_packet(end.at_ns, packet) {
        end.handshake = Some(handshake);
        if let Some(ip) = &mut end.ip {
            ip.extensions = extensions;
        }
    }
    Some(end)
}

/// What a SYN offers, from the packet's bytes, from the IP header on, with its extension headers; `None` when they are cut off.
fn handshake_of_packet(at_ns: u64, bytes: &[u8]) -> Option<(Handshake, Extensions)> {
    let packet = LaxSlicedPacket::from_ip(bytes).ok()?;
    let extensions = packet.net.as_ref().map(extensions).unwrap_or_default();
    match packet.transport {
        Some(TransportSlice::Tcp(tcp)) => Some((handshake(at_ns, &tcp), extensions)),
        _ => None,
    }
}

fn end(bytes: &[u8]) -> Option<End> {
    told(&EndRecord::decode(bytes)?)
}

fn told(record: &EndRecord) -> Option<End> {
    let ip = ip_header(&record.ip, record.ttl).map(|ip| IpHeader {
        is_received: record.direction == direction::INGRESS,
        interface: record.ifindex,
        ..ip
    });
    Some(End {
        at_ns: record.header.at_ns,
        cookie: record.header.cookie,
        local: SocketAddr::new(address(record.family, &record.local)?, record.local_port),
        remote: SocketAddr::new(address(record.family, &record.remote)?, record.remote_port),
        way: way(record.direction),
        flags: flags(record.flags),
        netns: record.netns,
        loopback: record.ifindex == LOOPBACK,
        offset: record.offset,
        last_ns: record.last_ns,
        ip,
        handshake: None,
    })
}

fn flags(bits: u8) -> TcpFlags {
    TcpFlags {
        syn: bits & tcp_flag::SYN != 0,
        ack: bits & tcp_flag::ACK != 0,
        fin: bits & tcp_flag::FIN != 0,
        rst: bits & tcp_flag::RST != 0,
    }
}

fn dropped(bytes: &[u8]) -> Option<Drop> {
    let record = DropRecord::decode(bytes)?;
    let source = SocketAddr::new(address(record.family, &record.source)?, record.source_port);
    let destination = address(record.family, &record.destination)?;
    let destination = SocketAddr::new(destination, record.destination_port);
    let way = way(record.direction);
    let (local, remote) = match way {
        Way::Egress => (source, destination),
        Way::Ingress => (destination, source),
    };
    let tcp = TcpSlice::from_slice(&record.tcp).ok();
    let [.., bits] = record.tcp.first_chunk::<14>()?;
    let end = End {
        at_ns: record.header.at_ns,
        cookie: record.header.cookie,
        local,
        remote,
        way,
        flags: flags(*bits),
        netns: record.netns,
        loopback: false,
        offset: 0,
        last_ns: 0,
        ip: ip_header(&record.ip, record.ttl),
        handshake: tcp
            .filter(TcpSlice::syn)
            .map(|tcp| handshake(record.header.at_ns, &tcp)),
    };
    Some(Drop {
        end,
        reason: record.reason,
    })
}

fn owner(bytes: &[u8]) -> Option<Owner> {
    let record = OwnerRecord::decode(bytes)?;
    Some(Owner {
        at_ns: record.header.at_ns,
        cookie: record.header.cookie,
        pid: record.tgid,
        start_boot_ns: record.start_ns,
        cgroup_id: record.cgroup_id,
        comm: record.comm,
        ancestors: record.ancestors,
        certain: record.owned == u32::from(owned::YES),
    })
}

fn session(bytes: &[u8]) -> Option<Session> {
    let record = SessionRecord::decode(bytes)?;
    let cookie = record.header.cookie;
    Some(Session {
        at_ns: record.header.at_ns,
        id: record.session,
        address: record.address,
        cookie: (cookie != 0).then_some(cookie),
        is_new: record.facts & session_fact::NEW != 0,
        is_sure: record.facts & session_fact::SURE != 0,
        owner: Owner {
            at_ns: record.header.at_ns,
            cookie,
            pid: record.tgid,
            start_boot_ns: record.start_ns,
            cgroup_id: 0,
            comm: record.comm,
            ancestors: record.ancestors,
            certain: true,
        },
        written: Passed {
            bytes: record.egress_bytes,
            last_ns: record.egress_last_ns,
            last_chunk: record.facts & session_fact::EGRESS_LAST_CHUNK != 0,
        },
        read: Passed {
            bytes: record.ingress_bytes,
            last_ns: record.ingress_last_ns,
            last_chunk: record.facts & session_fact::INGRESS_LAST_CHUNK != 0,
        },
    })
}

fn socket(bytes: &[u8]) -> Option<SocketEnd> {
    let record = SocketRecord::decode(bytes)?;
    Some(SocketEnd {
        at_ns: record.header.at_ns,
        cookie: record.header.cookie,
        error: record.error,
        sent: record.egress_offset,
        sent_last_ns: record.egress_last_ns,
        received: record.ingress_offset,
        received_last_ns: record.ingress_last_ns,
        retransmits: record.retransmits,
        sent_zero_windows: record.egress_zero_windows,
        received_zero_windows: record.ingress_zero_windows,
        received_marked: record.ingress_marked,
        sent_idle: IdleCounts {
            keep_alives: record.egress_keep_alives,
            window_probes: record.egress_window_probes,
        },
        received_idle: IdleCounts {
            keep_alives: record.ingress_keep_alives,
            window_probes: record.ingress_window_probes,
        },
        stats: stats(&record),
    })
}

fn idle(bytes: &[u8]) -> Option<Idle> {
    let record = IdleRecord::decode(bytes)?;
    Some(Idle {
        cookie: record.header.cookie,
        way: if record.direction == u32::from(direction::EGRESS) {
            Way::Egress
        } else {
            Way::Ingress
        },
        counts: IdleCounts {
            keep_alives: record.keep_alives,
            window_probes: record.window_probes,
        },
    })
}

fn stats(record: &SocketRecord) -> SocketStats {
    let is_known = |field: u32| record.known & field != 0;
    let number = |field, value: u32| is_known(field).then_some(value);
    let bytes = |field, value: u64| is_known(field).then_some(value);
    SocketStats {
        closed_ns: record.header.at_ns,
        state: u8::try_from(record.old_state).unwrap_or(0),
        error: number(socket_field::ERROR, record.error),
        soft_error: number(socket_field::SOFT_ERROR, record.soft_error),
        bytes_acked: bytes(socket_field::BYTES_ACKED, record.bytes_acked),
        bytes_received: bytes(socket_field::BYTES_RECEIVED, record.bytes_received),
        bytes_retrans: bytes(socket_field::BYTES_RETRANS, record.bytes_retrans),
        // Nothing was measured where it is 0.
        srtt_us: number(socket_field::SRTT, record.srtt_us / 8).filter(|_| record.srtt_us != 0),
        // All ones until the first sample (tcp_init_sock, net/ipv4/tcp.c).
        rtt_min_us: number(socket_field::RTT_MIN, record.rtt_min_us)
            .filter(|least| *least != u32::MAX && record.srtt_us != 0),
        total_retrans: number(socket_field::TOTAL_RETRANS, record.total_retrans),
        segs_in: number(socket_field::SEGS_IN, record.segs_in),
        segs_out: number(socket_field::SEGS_OUT, record.segs_out),
        data_segs_in: number(socket_field::DATA_SEGS_IN, record.data_segs_in),
        data_segs_out: number(socket_field::DATA_SEGS_OUT, record.data_segs_out),
        rcv_ooopack: number(socket_field::RCV_OOOPACK, record.rcv_ooopack),
        dsack_dups: number(socket_field::DSACK_DUPS, record.dsack_dups),
        reord_seen: number(socket_field::REORD_SEEN, record.reord_seen),
        delivered_ce: number(socket_field::DELIVERED_CE, record.delivered_ce),
        mss_cache: number(socket_field::MSS_CACHE, record.mss_cache),
        negotiated: is_known(socket_field::RX_OPT).then_some(Negotiated {
            timestamps: record.rx_opt & negotiated::TIMESTAMPS != 0,
            window_scale: record.rx_opt & negotiated::WINDOW_SCALE != 0,
            sack: record.rx_opt & negotiated::SACK != 0,
        }),
        ecn: is_known(socket_field::ECN_FLAGS).then_some(record.ecn_flags & 1 != 0),
        unanswered: is_known(socket_field::ICSK_RETRANSMITS).then_some(record.icsk_retransmits),
    }
}

fn datagram(bytes: &[u8]) -> Option<Datagram<'_>> {
    let record = DatagramRecord::decode(bytes)?;
    let captured = usize::try_from(record.captured).ok()?;
    Some(Datagram {
        at_ns: record.header.at_ns,
        cookie: record.header.cookie,
        local: SocketAddr::new(address(record.family, &record.local)?, record.local_port),
        remote: SocketAddr::new(address(record.family, &record.remote)?, record.remote_port),
        way: way(record.direction),
        netns: record.netns,
        loopback: record.ifindex == LOOPBACK,
        look: match record.look {
            look::DNS => Look::Dns,
            look::QUIC => Look::Quic,
            _ => Look::Flow,
        },
        payload_length: record.payload_length,
        bytes: bytes.get(DatagramRecord::SIZE..DatagramRecord::SIZE.checked_add(captured)?)?,
    })
}

fn exec(bytes: &[u8]) -> Option<Exec<'_>> {
    let record = ExecRecord::decode(bytes)?;
    let path = bytes.get(ExecRecord::SIZE..)?;
    let name = bytes.get(ExecRecord::SIZE.checked_sub(EXEC_NAME)?..ExecRecord::SIZE)?;
    let arguments = path.get(EXEC_PATH..)?;
    Some(Exec {
        at_ns: record.header.at_ns,
        pid: record.tgid,
        start_boot_ns: record.start_ns,
        name: name.split(|byte| *byte == 0).next().unwrap_or_default(),
        path: path.get(..usize::try_from(record.path_length).ok()?)?,
        arguments: arguments.get(..usize::try_from(record.arguments_length).ok()?)?,
    })
}

fn way(direction: u8) -> Way {
    if direction == direction::EGRESS {
        Way::Egress
    } else {
        Way::Ingress
    }
}

fn address(family: u8, bytes: &[u8; 16]) -> Option<IpAddr> {
    match family {
        4 => Some(IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk::<4>()?))),
        6 => Some(IpAddr::V6(Ipv6Addr::from(*bytes))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_records_are_unknown_and_never_a_panic() {
        let mut bytes = vec![0u8; 2048];
        for kind in 0..=20u16 {
            bytes[..2].copy_from_slice(&kind.to_ne_bytes());
            bytes[2..4].copy_from_slice(&VERSION.to_ne_bytes());
            for fill in [0u8, 0x04, 0xff] {
                bytes[24..].fill(fill);
                // Whatever was decoded of a prefix is decoded of every longer one.
                let is_known = |cut| decode(&bytes[..cut]) != Decoded::Unknown;
                assert!(
                    (0..=bytes.len()).is_sorted_by_key(is_known),
                    "{kind} {fill}"
                );
                assert!(!is_known(Header::SIZE - 1), "{kind} {fill}");
            }
        }
        assert_eq!(decode(&[]), Decoded::Unknown);
    }

    #[test]
    fn a_syn_behind_extension_headers() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 32, 0, 64];
        packet.extend([0; 32]);
        // Hop-by-hop options: TCP is next, eight bytes, padding of four.
        packet.extend([6, 0, 1, 4, 0, 0, 0, 0]);
        packet.extend([
            0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 0xc2, 0xfa, 0xf0, 0, 0, 0, 0,
        ]);
        packet.extend([2, 4, 5, 0xa0]);
        let (read, extensions) = handshake_of_packet(7, &packet).unwrap();
        assert_eq!(extensions, Extensions::HOP_BY_HOP);
        assert_eq!(
            (read.mss, read.window, read.ece, read.cwr),
            (Some(1440), 64_240, true, true)
        );
        for cut in 0..packet.len() {
            assert!(handshake_of_packet(7, &packet[..cut]).is_none(), "{cut}");
        }
    }
}
