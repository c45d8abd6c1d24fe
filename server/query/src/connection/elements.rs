//! The header elements of both directions side by side, and why some of them are not known.

use super::tcp::{Handshake, TcpNumbers, dscp, ecn_field, error, state};
use super::{Element, View};
use crate::tls::Tls;

/// All elements of which one end at least is known.
pub(super) fn elements(view: &View) -> Vec<Element> {
    let mut rows = Rows {
        ends: [view.facing(0), view.facing(1)],
        found: Vec::new(),
    };
    rows.add("bytes", |end| number(Some(end.bytes)));
    rows.add("packets", |end| number(end.packets()));
    rows.add("data_packets", |end| number(end.data_packets()));
    rows.add("retransmits", |end| number(end.retransmits()));
    rows.add("bytes_retransmitted", |end| {
        number(end.own.socket?.bytes_retrans)
    });
    rows.add("out_of_order", |end| number(end.out_of_order()));
    rows.add("duplicates", |end| number(end.duplicates()));
    rows.add("reordering_seen", |end| {
        number(end.own.socket?.reord_seen.filter(|seen| *seen > 0))
    });
    rows.add("zero_windows", |end| number(end.own.counts.zero_windows));
    rows.add("congestion_experienced", |end| {
        number(end.congestion_experienced())
    });
    rows.add("keep_alives", |end| number(end.own.counts.keep_alives));
    rows.add("window_probes", |end| number(end.own.counts.window_probes));
    rows.add("resets", |end| {
        number(Some(end.own.counts.resets.unwrap_or(0)))
    });
    rows.add("smoothed_round_trip_ms", |end| {
        milliseconds(end.own.socket?.srtt_us)
    });
    rows.add("least_round_trip_ms", |end| {
        milliseconds(end.own.socket?.rtt_min_us)
    });
    rows.packet();
    rows.handshake();
    rows.add("ecn", ecn);
    rows.add("syn_retries", |end| number(end.own.syn_retries));
    rows.add("mss_in_use", |end| number(end.own.socket?.mss_cache));
    rows.add("negotiated", |end| {
        let names = ["timestamps", "window scaling", "SACK"];
        Some(named(end.own.socket?.negotiated?, &names).unwrap_or_else(|| "none".to_owned()))
    });
    rows.add("state_at_close", |end| {
        Some(state(end.own.socket?.state).to_owned())
    });
    rows.add("error", |end| {
        let socket = end.own.socket?;
        let told = socket.error.filter(|number| *number != 0);
        told.or(socket.soft_error.filter(|number| *number != 0))
            .map(error)
    });
    if let Some(tls) = &view.tls {
        rows.found.extend(tls.elements());
    }
    if let Some(http2) = &view.http2 {
        rows.found.extend(http2.elements(!view.joined_midstream));
    }
    rows.found
}

struct Rows<'v> {
    ends: [Facing<'v>; 2],
    found: Vec<Element>,
}

impl Rows<'_> {
    /// A row, when it is known of one end at least.
    fn add(&mut self, name: &'static str, of: impl Fn(&Facing<'_>) -> Option<String>) {
        let [client, server] = &self.ends;
        let (client, server) = (of(client), of(server));
        if client.is_some() || server.is_some() {
            self.found.push(Element {
                name,
                client,
                server,
            });
        }
    }

    /// Of IP's header.
    fn packet(&mut self) {
        self.add("hop_limit", |end| {
            let ip = end.own.ip?;
            let seen = if ip.is_received {
                "as it arrived"
            } else {
                "as sent"
            };
            Some(format!("{} {seen}", ip.hop_limit))
        });
        self.add("interface", |end| {
            let interface = end.own.ip?.interface?;
            let name = if interface == 1 { " (loopback)" } else { "" };
            Some(format!("{interface}{name}"))
        });
        self.add("dscp", |end| Some(dscp(end.own.ip?.traffic_class)));
        self.add("ecn_field", |end| {
            Some(ecn_field(end.own.ip?.traffic_class).to_owned())
        });
        self.add("dont_fragment", |end| end.own.ip?.dont_fragment.map(yes));
        self.add("flow_label", |end| {
            Some(format!("0x{:05x}", end.own.ip?.flow_label?))
        });
        self.add("extension_headers", |end| {
            let names = [
                "hop-by-hop",
                "routing",
                "fragment",
                "destination options",
                "authentication",
            ];
            named(end.own.ip?.extensions, &names)
        });
    }

    /// Of the SYN and SYN-ACK.
    fn handshake(&mut self) {
        self.add("syn_window", |end| number(Some(end.own.handshake?.window)));
        self.add("mss", |end| Some(or_absent(end.own.handshake?.mss)));
        self.add("window_scale", |end| {
            Some(or_absent(end.own.handshake?.window_scale))
        });
        for (name, flag) in [
            ("sack_permitted", Handshake::SACK),
            ("timestamps", Handshake::TIMESTAMPS),
        ] {
            self.add(name, |end| Some(yes(end.own.handshake?.has(flag))));
        }
        self.add("fast_open", |end| {
            Some(match end.own.handshake?.fast_open? {
                0 => "asks for a cookie".to_owned(),
                bytes => format!("cookie of {bytes} bytes"),
            })
        });
        self.add("other_options", |end| others(end.own.handshake?.others?));
        self.add("options_malformed", |end| {
            let syn = end.own.handshake?;
            syn.has(Handshake::MALFORMED).then(|| yes(true))
        });
    }
}

/// One end of a connection, and the other as it sees it.
pub(super) struct Facing<'v> {
    is_client: bool,
    bytes: u64,
    own: &'v TcpNumbers,
    peer: &'v TcpNumbers,
}

impl View {
    /// The client (0) or the server.
    pub(super) fn facing(&self, end: usize) -> Facing<'_> {
        let [own, peer] = self.seen_from(end);
        let [client, server] = self.bytes;
        Facing {
            is_client: end == 0,
            bytes: if end == 0 { client } else { server },
            own,
            peer,
        }
    }
}

impl Facing<'_> {
    /// Packets that it sent: its own socket's count, else those that its peer's received.
    fn packets(&self) -> Option<u64> {
        let received = self.peer.socket.and_then(|socket| socket.segs_in);
        let sent = self.own.socket.and_then(|socket| socket.segs_out);
        sent.or(received).or(self.own.counts.packets)
    }

    fn data_packets(&self) -> Option<u64> {
        let received = self.peer.socket.and_then(|socket| socket.data_segs_in);
        let sent = self.own.socket.and_then(|socket| socket.data_segs_out);
        sent.or(received)
    }

    /// Packets that it sent again: its kernel's count, which has those without payload too, else what was counted of them.
    pub(super) fn retransmits(&self) -> Option<u64> {
        let kept = self.own.socket.and_then(|socket| socket.total_retrans);
        kept.or(self.own.counts.retransmits)
    }

    /// Packets of it that arrived out of order: its peer's socket knows.
    pub(super) fn out_of_order(&self) -> Option<u64> {
        let kept = self.peer.socket.and_then(|socket| socket.rcv_ooopack);
        kept.or(self.own.counts.out_of_order)
    }

    /// Packets of it that its peer said it had twice.
    fn duplicates(&self) -> Option<u64> {
        let kept = self.own.socket.and_then(|socket| socket.dsack_dups);
        kept.or(self.own.counts.duplicates)
    }

    /// Packets of it that were marked on their way: counted where they arrived, or as its peer said.
    pub(super) fn congestion_experienced(&self) -> Option<u64> {
        let said = self.own.socket.and_then(|socket| socket.delivered_ce);
        self.own.counts.congestion_experienced.or(said)
    }
}

/// What an end said of ECN in its handshake (RFC 3168, section 6.1.1), and whether it was agreed on.
fn ecn(end: &Facing<'_>) -> Option<String> {
    let syn = end.own.handshake?;
    let (ece, cwr) = (syn.has(Handshake::ECE), syn.has(Handshake::CWR));
    let said = match (end.is_client, ece, cwr) {
        (true, true, true) => "offered",
        (false, true, false) => "accepted",
        (_, false, false) => "no",
        _ => "odd flags",
    };
    let agreed = end.own.socket.and_then(|socket| socket.ecn) == Some(1);
    Some(if agreed {
        format!("{said}; negotiated")
    } else {
        said.to_owned()
    })
}

/// Why elements are not known, in words.
pub(super) fn unknown(view: &View) -> Vec<String> {
    let mut reasons = Vec::new();
    let handshakes = view.ends.map(|end| end.handshake.is_some());
    match handshakes {
        [true, true] => {}
        [false, false] if view.joined_midstream => reasons.push(
            "options of the handshake and its round trip: the recording began after it".to_owned(),
        ),
        [true, false] if view.is_attempt() => {}
        [client, _] => reasons.push(format!(
            "what the {} said in the handshake: that packet was not seen",
            if client { "server" } else { "client" }
        )),
    }
    let counted = "round trips, and the kernel's counts of packets, retransmits, disorder";
    let ends = ["client", "server"].into_iter().zip(view.ends);
    for ((name, end), is_local) in ends.zip(view.local) {
        if end.socket.is_some() {
            continue;
        }
        let why = match (view.is_live, is_local, view.is_open) {
            (false, ..) => continue,
            (_, false, _) => "no socket of it was seen on this machine",
            (_, _, true) => "told when its socket is closed",
            (_, _, false) => {
                "the end of its socket was not seen (doctor says whether this kernel tells it)"
            }
        };
        reasons.push(format!("{counted} at the {name}: {why}"));
    }
    if view.tls.as_ref().is_some_and(Tls::hides_certificates) {
        reasons.push("certificates and the chosen ALPN: TLS 1.3 encrypts them".to_owned());
    }
    if view.is_live {
        reasons.push("fragments of IP: not seen in live traffic, since sockets send before fragmentation and receive after reassembly"
                .to_owned());
    } else {
        reasons.push(
            "the kernel's round trips and states: capture files hold packets only".to_owned(),
        );
    }
    reasons
}

fn number(number: Option<u64>) -> Option<String> {
    number.map(|number| number.to_string())
}

fn or_absent(number: Option<u64>) -> String {
    number.map_or_else(|| "absent".to_owned(), |number| number.to_string())
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

fn milliseconds(microseconds: Option<u64>) -> Option<String> {
    microseconds.map(|us| format!("{}.{:03}", us / 1000, us % 1000))
}

/// The names of the bits that are set, from the lowest on.
fn named(bits: u64, names: &[&str]) -> Option<String> {
    let present = (0..).zip(names).filter(|(bit, _)| bits >> bit & 1 != 0);
    let list: Vec<_> = present.map(|(_, name)| *name).collect();
    (!list.is_empty()).then(|| list.join(", "))
}

/// Kinds of options, a byte each, with the names of those that are seen (IANA's registry).
fn others(packed: u64) -> Option<String> {
    let kinds = u32::try_from(packed).ok()?.to_be_bytes();
    let list: Vec<_> = kinds
        .into_iter()
        .filter(|kind| *kind != 0)
        .map(|kind| match kind {
            5 => "SACK (5)".to_owned(),
            19 => "MD5 signature (19)".to_owned(),
            27 => "quick-start (27)".to_owned(),
            28 => "user timeout (28)".to_owned(),
            29 => "TCP-AO (29)".to_owned(),
            30 => "MPTCP (30)".to_owned(),
            253 | 254 => format!("experiment ({kind})"),
            kind => format!("kind {kind}"),
        })
        .collect();
    (!list.is_empty()).then(|| list.join(", "))
}
