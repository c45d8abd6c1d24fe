//! One packet's headers: from the bytes that the kernel copied to a row for people or programs.
//!
//! Owns: the fields and their names. Reads with etherparse; payload is not among the bytes.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TcpOptionElement, TcpSlice, TransportSlice};
use headwater_mcp::plain;
use headwater_query::rfc3339;
use serde_json::{Value, json};

/// Flags of TCP by their bits (RFC 9293, section 3.1), and the letter of each.
const FLAGS: [(u8, &str, char); 8] = [
    (0x02, "syn", 'S'),
    (0x01, "fin", 'F'),
    (0x04, "rst", 'R'),
    (0x08, "psh", 'P'),
    (0x10, "ack", '.'),
    (0x20, "urg", 'U'),
    (0x40, "ece", 'E'),
    (0x80, "cwr", 'W'),
];

/// A process, as far as a packet shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessName {
    pub(super) pid: u32,
    /// Redacted.
    pub(super) name: String,
}

/// What a packet's TCP header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tcp {
    pub(super) flags: u8,
    seq: u32,
    ack: u32,
    window: u16,
    options: Vec<String>,
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) at_ns: u64,
    pub(super) is_sent: bool,
    pub(super) interface: String,
    pub(super) netns: u32,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ports: Option<(u16, u16)>,
    /// IANA's number.
    pub(super) protocol: u8,
    pub(super) tcp: Option<Tcp>,
    /// Type and code of ICMP.
    icmp: Option<(u8, u8)>,
    ttl: u8,
    dscp: u8,
    ecn: u8,
    dont_fragment: bool,
    /// Where the fragment begins in its datagram, in bytes, and whether more follow.
    fragment: Option<(u32, bool)>,
    flow_label: u32,
    /// Bytes behind the headers.
    payload_bytes: u32,
    pub(super) process: Option<ProcessName>,
}

/// What is known of a packet besides its bytes.
pub(super) struct About {
    pub(super) at_ns: u64,
    pub(super) is_sent: bool,
    pub(super) interface: String,
    pub(super) netns: u32,
    /// Bytes from the IP header on.
    pub(super) length: u32,
    pub(super) process: Option<ProcessName>,
}

impl Headers {
    /// Reads the bytes from the IP header on; `None` when they are no IP header.
    pub(super) fn read(bytes: &[u8], about: About) -> Option<Self> {
        let packet = LaxSlicedPacket::from_ip(bytes).ok()?;
        let mut headers = match &packet.net {
            Some(LaxNetSlice::Ipv4(four)) => {
                let header = four.header();
                Self {
                    protocol: four.payload().ip_number.0,
                    ttl: header.ttl(),
                    dscp: header.dcp().value(),
                    ecn: header.ecn().value(),
                    dont_fragment: header.dont_fragment(),
                    fragment: header.is_fragmenting_payload().then(|| {
                        (
                            u32::from(header.fragments_offset().byte_offset()),
                            header.more_fragments(),
                        )
                    }),
                    ..Self::of(
                        about,
                        header.source_addr().into(),
                        header.destination_addr().into(),
                    )
                }
            }
            Some(LaxNetSlice::Ipv6(six)) => {
                let header = six.header();
                let class = header.traffic_class();
                Self {
                    protocol: six.payload().ip_number.0,
                    ttl: header.hop_limit(),
                    dscp: class >> 2,
                    ecn: class & 3,
                    flow_label: header.flow_label().value(),
                    ..Self::of(
                        about,
                        header.source_addr().into(),
                        header.destination_addr().into(),
                    )
                }
            }
            _ => return None,
        };
        match &packet.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                headers.ports = Some((tcp.source_port(), tcp.destination_port()));
                headers.tcp = Some(Tcp::of(tcp));
            }
            Some(TransportSlice::Udp(udp)) => {
                headers.ports = Some((udp.source_port(), udp.destination_port()));
            }
            Some(TransportSlice::Icmpv4(icmp)) => {
                headers.icmp = Some((icmp.type_u8(), icmp.code_u8()));
            }
            Some(TransportSlice::Icmpv6(icmp)) => {
                headers.icmp = Some((icmp.type_u8(), icmp.code_u8()));
            }
            None => {}
        }
        // What was copied is the headers, all of them but for the longest chains; until here this held the whole packet's length.
        let header_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        headers.payload_bytes = headers.payload_bytes.saturating_sub(header_bytes);
        Some(headers)
    }

    fn of(about: About, source: IpAddr, destination: IpAddr) -> Self {
        Self {
            at_ns: about.at_ns,
            is_sent: about.is_sent,
            interface: about.interface,
            netns: about.netns,
            source,
            destination,
            ports: None,
            protocol: 0,
            tcp: None,
            icmp: None,
            ttl: 0,
            dscp: 0,
            ecn: 0,
            dont_fragment: false,
            fragment: None,
            flow_label: 0,
            payload_bytes: about.length,
            process: about.process,
        }
    }

    /// 4 or 6.
    pub(super) fn family(&self) -> u8 {
        if self.source.is_ipv4() { 4 } else { 6 }
    }

    /// To the microsecond: packets follow each other closely.
    fn time(&self) -> String {
        let second = self.at_ns - self.at_ns % 1_000_000_000;
        let whole = rfc3339(second);
        let whole = whole.split('.').next().unwrap_or_default();
        format!("{whole}.{:06}Z", (self.at_ns - second) / 1000)
    }

    fn ends(&self) -> (String, String) {
        match self.ports {
            Some((from, to)) => (
                SocketAddr::new(self.source, from).to_string(),
                SocketAddr::new(self.destination, to).to_string(),
            ),
            None => (self.source.to_string(), self.destination.to_string()),
        }
    }

    fn protocol_name(&self) -> String {
        match self.protocol {
            1 => "icmp".to_owned(),
            6 => "tcp".to_owned(),
            17 => "udp".to_owned(),
            58 => "icmp6".to_owned(),
            number => format!("protocol {number}"),
        }
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let (source, destination) = self.ends();
        let way = if self.is_sent { "out" } else { "in " };
        let mut line = format!(
            "{} {way} {} {source} > {destination} {}",
            self.time(),
            plain(&self.interface),
            self.protocol_name()
        );
        if let Some(tcp) = &self.tcp {
            let letters: String = FLAGS
                .iter()
                .filter(|(bit, ..)| tcp.flags & bit != 0)
                .map(|(.., letter)| letter)
                .collect();
            let _ = write!(
                line,
                " [{letters}] seq {} ack {} win {}",
                tcp.seq, tcp.ack, tcp.window
            );
            if !tcp.options.is_empty() {
                let _ = write!(line, " <{}>", tcp.options.join(","));
            }
        }
        if let Some((kind, code)) = self.icmp {
            let _ = write!(line, " type {kind} code {code}");
        }
        let _ = write!(line, " len {} ttl {}", self.payload_bytes, self.ttl);
        if self.dscp != 0 {
            let _ = write!(line, " dscp {}", self.dscp);
        }
        if self.ecn != 0 {
            let _ = write!(line, " ecn {}", self.ecn);
        }
        if self.dont_fragment {
            line.push_str(" df");
        }
        if let Some((offset, more)) = self.fragment {
            let _ = write!(line, " fragment {offset}{}", if more { "+" } else { "" });
        }
        if self.flow_label != 0 {
            let _ = write!(line, " flow {:#x}", self.flow_label);
        }
        if let Some(process) = &self.process {
            let _ = write!(line, "  {}[{}]", plain(&process.name), process.pid);
        }
        line
    }

    /// One object for programs.
    pub(super) fn json(&self) -> Value {
        let (source, destination) = self.ends();
        let mut value = json!({
            "time": self.time(),
            "time_ns": self.at_ns,
            "direction": if self.is_sent { "transmit" } else { "receive" },
            "interface": self.interface,
            "netns": self.netns,
            "source": source,
            "destination": destination,
            "protocol": self.protocol_name(),
            "ttl": self.ttl,
            "dscp": self.dscp,
            "ecn": self.ecn,
            "payload_bytes": self.payload_bytes,
        });
        if self.source.is_ipv4() {
            value["dont_fragment"] = self.dont_fragment.into();
        } else {
            value["flow_label"] = self.flow_label.into();
        }
        if let Some((offset, more)) = self.fragment {
            value["fragment"] = json!({ "offset": offset, "more": more });
        }
        if let Some((kind, code)) = self.icmp {
            value["icmp"] = json!({ "type": kind, "code": code });
        }
        if let Some(tcp) = &self.tcp {
            let flags: Vec<&str> = FLAGS
                .iter()
                .filter(|(bit, ..)| tcp.flags & bit != 0)
                .map(|(_, name, _)| *name)
                .collect();
            value["tcp"] = json!({
                "flags": flags, "seq": tcp.seq, "ack": tcp.ack, "window": tcp.window, "options": tcp.options,
            });
        }
        if let Some(process) = &self.process {
            value["process"] = json!({ "pid": process.pid, "name": process.name });
        }
        value
    }
}

impl Tcp {
    fn of(tcp: &TcpSlice<'_>) -> Self {
        let bits = tcp.slice().get(13).copied().unwrap_or(0);
        Self {
            flags: bits,
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            window: tcp.window_size(),
            options: tcp
                .options_iterator()
                .filter_map(|option| match option {
                    Ok(TcpOptionElement::Noop) => None,
                    Ok(option) => Some(named(&option)),
                    Err(_) => Some("unreadable".to_owned()),
                })
                .collect(),
        }
    }
}

/// An option as capture tools name it.
fn named(option: &TcpOptionElement) -> String {
    match option {
        TcpOptionElement::Noop => "nop".to_owned(),
        TcpOptionElement::MaximumSegmentSize(bytes) => format!("mss {bytes}"),
        TcpOptionElement::WindowScale(shift) => format!("wscale {shift}"),
        TcpOptionElement::SelectiveAcknowledgementPermitted => "sackOK".to_owned(),
        TcpOptionElement::SelectiveAcknowledgement(first, others) => {
            let blocks = std::iter::once(*first).chain(others.iter().flatten().copied());
            let blocks: Vec<String> = blocks.map(|(from, to)| format!("{from}:{to}")).collect();
            format!("sack {}", blocks.join(" "))
        }
        TcpOptionElement::Timestamp(value, echo) => format!("ts {value} ecr {echo}"),
    }
}
