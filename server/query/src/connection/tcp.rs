//! `connection.client_tcp` and `connection.server_tcp` read back, and the names of the numbers in them.

use headwater_pack::numbers;

/// What is stored of one end; times are after the connection's start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TcpNumbers {
    pub(super) ip: Option<Ip>,
    pub(super) handshake: Option<Handshake>,
    pub(super) syn_retries: Option<u64>,
    pub(super) first_payload: Option<u64>,
    pub(super) fin: Option<u64>,
    pub(super) rst: Option<u64>,
    pub(super) counts: Counts,
    pub(super) socket: Option<Socket>,
}

/// IP's header of its first packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ip {
    pub(super) is_received: bool,
    pub(super) interface: Option<u64>,
    pub(super) hop_limit: u64,
    pub(super) traffic_class: u64,
    pub(super) dont_fragment: Option<bool>,
    pub(super) flow_label: Option<u64>,
    pub(super) extensions: u64,
}

/// Its SYN or SYN-ACK.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handshake {
    pub(super) at: u64,
    pub(super) flags: u64,
    pub(super) window: u64,
    pub(super) mss: Option<u64>,
    pub(super) window_scale: Option<u64>,
    pub(super) fast_open: Option<u64>,
    pub(super) others: Option<u64>,
}

impl Handshake {
    pub(super) const ECE: u64 = 1;
    pub(super) const CWR: u64 = 2;
    pub(super) const SACK: u64 = 4;
    pub(super) const TIMESTAMPS: u64 = 8;
    pub(super) const MALFORMED: u64 = 16;

    pub(super) fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }
}

/// What was counted of its packets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) packets: Option<u64>,
    pub(super) retransmits: Option<u64>,
    pub(super) out_of_order: Option<u64>,
    pub(super) duplicates: Option<u64>,
    pub(super) zero_windows: Option<u64>,
    pub(super) keep_alives: Option<u64>,
    pub(super) window_probes: Option<u64>,
    pub(super) congestion_experienced: Option<u64>,
    pub(super) resets: Option<u64>,
}

/// What its socket knew at its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Socket {
    pub(super) closed: u64,
    pub(super) state: u64,
    pub(super) error: Option<u64>,
    pub(super) soft_error: Option<u64>,
    pub(super) bytes_retrans: Option<u64>,
    pub(super) srtt_us: Option<u64>,
    pub(super) rtt_min_us: Option<u64>,
    pub(super) total_retrans: Option<u64>,
    pub(super) segs_in: Option<u64>,
    pub(super) segs_out: Option<u64>,
    pub(super) data_segs_in: Option<u64>,
    pub(super) data_segs_out: Option<u64>,
    pub(super) rcv_ooopack: Option<u64>,
    pub(super) dsack_dups: Option<u64>,
    pub(super) reord_seen: Option<u64>,
    pub(super) delivered_ce: Option<u64>,
    pub(super) mss_cache: Option<u64>,
    pub(super) negotiated: Option<u64>,
    pub(super) ecn: Option<u64>,
    pub(super) unanswered: Option<u64>,
}

impl TcpNumbers {
    /// Reads the text of a column, in the order of the schema.
    pub(super) fn read(text: Option<&str>) -> Self {
        let numbers: [Option<u64>; COUNT] = numbers::split(text.unwrap_or_default());
        let mut numbers = numbers.into_iter();
        let mut next = || numbers.next().flatten();
        let (ip_flags, interface) = (next(), next());
        let (hop_limit, traffic_class) = (next(), next());
        let (flow_label, extensions) = (next(), next());
        let (at, flags, window) = (next(), next(), next());
        let handshake = at.map(|at| Handshake {
            at,
            flags: flags.unwrap_or(0),
            window: window.unwrap_or(0),
            mss: next(),
            window_scale: next(),
            fast_open: next(),
            others: next(),
        });
        if at.is_none() {
            for _ in 0..4 {
                next();
            }
        }
        Self {
            ip: ip_flags.map(|flags| Ip {
                is_received: flags & 1 != 0,
                interface,
                hop_limit: hop_limit.unwrap_or(0),
                traffic_class: traffic_class.unwrap_or(0),
                dont_fragment: (flags & 2 != 0).then_some(flags & 4 != 0),
                flow_label,
                extensions: extensions.unwrap_or(0),
            }),
            handshake,
            syn_retries: next(),
            first_payload: next(),
            fin: next(),
            rst: next(),
            counts: Counts {
                packets: next(),
                retransmits: next(),
                out_of_order: next(),
                duplicates: next(),
                zero_windows: next(),
                keep_alives: next(),
                window_probes: next(),
                congestion_experienced: next(),
                resets: next(),
            },
            socket: socket(&mut next),
        }
    }
}

fn socket(next: &mut impl FnMut() -> Option<u64>) -> Option<Socket> {
    let closed = next()?;
    let (state, error, soft_error) = (next(), next(), next());
    // Payload is counted by the connection itself.
    let (_acked, _received) = (next(), next());
    Some(Socket {
        closed,
        state: state.unwrap_or(0),
        error,
        soft_error,
        bytes_retrans: next(),
        srtt_us: next(),
        rtt_min_us: next(),
        total_retrans: next(),
        segs_in: next(),
        segs_out: next(),
        data_segs_in: next(),
        data_segs_out: next(),
        rcv_ooopack: next(),
        dsack_dups: next(),
        reord_seen: next(),
        delivered_ce: next(),
        mss_cache: next(),
        negotiated: next(),
        ecn: next(),
        unanswered: next(),
    })
}

/// Names of DSCP (IANA's registry: RFC 2474, 2597, 3246, 5865, 8622), with their numbers.
pub(super) fn dscp(traffic_class: u64) -> String {
    let number = traffic_class >> 2;
    let name = match number {
        1 => "LE".to_owned(),
        44 => "VOICE-ADMIT".to_owned(),
        46 => "EF".to_owned(),
        _ if number.is_multiple_of(8) => format!("CS{}", number / 8),
        10..=38 if number.is_multiple_of(2) => {
            format!("AF{}{}", number / 8, number % 8 / 2)
        }
        _ => return number.to_string(),
    };
    format!("{number} {name}")
}

/// Names of the ECN field (RFC 3168, section 5).
pub(super) fn ecn_field(traffic_class: u64) -> &'static str {
    match traffic_class & 3 {
        0 => "Not-ECT",
        1 => "ECT(1)",
        2 => "ECT(0)",
        _ => "CE",
    }
}

/// States of TCP (RFC 9293, section 3.3.2) by their numbers in include/net/tcp_states.h.
pub(super) fn state(number: u64) -> &'static str {
    match number {
        1 => "ESTABLISHED",
        2 => "SYN-SENT",
        3 | 12 => "SYN-RECEIVED",
        4 => "FIN-WAIT-1",
        5 => "FIN-WAIT-2",
        6 => "TIME-WAIT",
        7 => "CLOSED",
        8 => "CLOSE-WAIT",
        9 => "LAST-ACK",
        10 => "LISTEN",
        11 => "CLOSING",
        _ => "an unknown state",
    }
}

/// Names of the errors that end sockets (errno(3)).
pub(super) fn error(number: u64) -> String {
    let name = match number {
        13 => "EACCES",
        32 => "EPIPE",
        64 => "ENONET",
        71 => "EPROTO",
        90 => "EMSGSIZE",
        92 => "ENOPROTOOPT",
        100 => "ENETDOWN",
        101 => "ENETUNREACH",
        103 => "ECONNABORTED",
        104 => "ECONNRESET",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        112 => "EHOSTDOWN",
        113 => "EHOSTUNREACH",
        125 => "ECANCELED",
        number => return format!("errno {number}"),
    };
    name.to_owned()
}

/// Numbers in the column.
const COUNT: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_have_their_names() {
        for (class, name) in [
            (0, "0 CS0"),
            (0xb8, "46 EF"),
            (0x28, "10 AF11"),
            (0x98, "38 AF43"),
            (0xc0, "48 CS6"),
            (4, "1 LE"),
            (0x0c, "3"),
            (0xf8, "62"),
        ] {
            assert_eq!(dscp(class), name);
        }
    }

    #[test]
    fn an_end_without_handshake_keeps_its_places() {
        let read = TcpNumbers::read(Some("7,1,64,0,,,,,,,,,,,12,34,,,5,,,,,,,1,99,8,104"));
        assert!(read.handshake.is_none());
        assert_eq!(read.ip.unwrap().dont_fragment, Some(true));
        assert_eq!((read.first_payload, read.fin), (Some(12), Some(34)));
        assert_eq!(
            (read.counts.retransmits, read.counts.resets),
            (Some(5), Some(1))
        );
        let socket = read.socket.unwrap();
        assert_eq!(
            (socket.closed, socket.state, socket.error),
            (99, 8, Some(104))
        );
    }
}
