//! A message of ICMP as the store keeps it, read back and told by name.
//!
//! Owns: its words, and the columns of DNS exchanges and UDP flows; those of connections are read in `connection::icmp`.

use std::fmt::Write as _;
use std::net::IpAddr;

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcmpError {
    /// After the start of what it is told of.
    pub(crate) after_ns: u64,
    /// Who sent the packet that it is about.
    pub(crate) about: &'static str,
    kind: u8,
    code: u8,
    mtu: Option<u32>,
    from: IpAddr,
}

impl IcmpError {
    /// Reads one of the column.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        Some(Self {
            after_ns: parts.next()?.parse().ok()?,
            about: match parts.next()? {
                "server" => "server",
                _ => "client",
            },
            kind: parts.next()?.parse().ok()?,
            code: parts.next()?.parse().ok()?,
            mtu: parts.next()?.parse().ok(),
            from: parts.next()?.parse().ok()?,
        })
    }

    /// Whether they differ in their times alone.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        let after_ns = self.after_ns;
        *self == Self { after_ns, ..*other }
    }

    /// Who said what.
    pub(crate) fn words(&self) -> String {
        self.words_of(false)
    }

    fn words_of(&self, has_other_senders: bool) -> String {
        let (protocol, (what, detail)) = if self.from.is_ipv4() {
            ("ICMP", four(self.kind, self.code))
        } else {
            ("ICMPv6", six(self.kind, self.code))
        };
        let others = if has_other_senders { " and others" } else { "" };
        let mut words = format!("{protocol} from {}{others}: {what}", self.from);
        if !detail.is_empty() {
            let _ = write!(words, ", {detail}");
        }
        if let Some(mtu) = self.mtu {
            let _ = write!(words, ", MTU {mtu}");
        }
        let _ = write!(words, " (type {}, code {})", self.kind, self.code);
        words
    }
}

/// What `udp_flow_N.icmp` says: each type and code, with how often it came and about whose datagrams.
pub(crate) fn kinds_in_words(text: &str) -> Option<String> {
    let mut parts = text.split(' ');
    let others: u64 = parts.next()?.parse().ok()?;
    let mut words = parts.map(kind_in_words).collect::<Option<Vec<_>>>()?;
    if others > 0 {
        words.push(format!("and {others} messages of other types and codes"));
    }
    Some(words.join("; "))
}

fn kind_in_words(text: &str) -> Option<String> {
    let mut parts = text.splitn(4, ',');
    let count: u64 = parts.next()?.parse().ok()?;
    let has_other_senders = parts.next()? == "1";
    let _first_after_ns: u64 = parts.next()?.parse().ok()?;
    let last = IcmpError::read(parts.next()?)?;
    let words = last.words_of(has_other_senders);
    Some(match count {
        0 | 1 => format!("{words}, about a datagram of the {}'s", last.about),
        _ => format!(
            "{words}, {count} times, about datagrams of the {}'s",
            last.about
        ),
    })
}

/// Types and codes of RFC 792, RFC 1122 (section 3.2.2.1) and RFC 1812 (section 5.2.7.1).
fn four(kind: u8, code: u8) -> (&'static str, &'static str) {
    match kind {
        3 => (
            "destination unreachable",
            match code {
                0 => "network unreachable",
                1 => "host unreachable",
                2 => "protocol unreachable",
                3 => "port unreachable",
                4 => "fragmentation needed and don't fragment set",
                5 => "source route failed",
                6 => "destination network unknown",
                7 => "destination host unknown",
                8 => "source host isolated",
                9 => "communication with destination network administratively prohibited",
                10 => "communication with destination host administratively prohibited",
                11 => "network unreachable for type of service",
                12 => "host unreachable for type of service",
                13 => "communication administratively prohibited",
                14 => "host precedence violation",
                15 => "precedence cutoff in effect",
                _ => "",
            },
        ),
        4 => ("source quench", ""),
        11 => (
            "time exceeded",
            match code {
                0 => "time to live exceeded in transit",
                1 => "fragment reassembly time exceeded",
                _ => "",
            },
        ),
        12 => (
            "parameter problem",
            match code {
                1 => "required option missing",
                2 => "bad length",
                _ => "",
            },
        ),
        _ => ("an unknown message", ""),
    }
}

/// Types and codes of RFC 4443.
fn six(kind: u8, code: u8) -> (&'static str, &'static str) {
    match kind {
        1 => (
            "destination unreachable",
            match code {
                0 => "no route to destination",
                1 => "communication with destination administratively prohibited",
                2 => "beyond scope of source address",
                3 => "address unreachable",
                4 => "port unreachable",
                5 => "source address failed ingress/egress policy",
                6 => "reject route to destination",
                // RFC 8883, section 3.
                8 => "headers too long",
                _ => "",
            },
        ),
        2 => ("packet too big", ""),
        3 => (
            "time exceeded",
            match code {
                0 => "hop limit exceeded in transit",
                1 => "fragment reassembly time exceeded",
                _ => "",
            },
        ),
        4 => (
            "parameter problem",
            match code {
                0 => "erroneous header field",
                1 => "unrecognized next header type",
                2 => "unrecognized IPv6 option",
                _ => "",
            },
        ),
        _ => ("an unknown message", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_with_their_counts() {
        let words =
            kinds_in_words("0 3,0,500,900,client,3,3,,10.0.0.1 1,0,900,900,server,1,4,,fd00::1");
        assert_eq!(
            words.as_deref(),
            Some(
                "ICMP from 10.0.0.1: destination unreachable, port unreachable (type 3, code 3), 3 times, about datagrams of \
                 the client's; ICMPv6 from fd00::1: destination unreachable, port unreachable (type 1, code 4), about a \
                 datagram of the server's"
            )
        );
        let words = kinds_in_words("7 2,1,5,5,client,11,0,,10.0.0.1").unwrap_or_default();
        assert!(
            words.starts_with("ICMP from 10.0.0.1 and others: time exceeded")
                && words.ends_with("; and 7 messages of other types and codes"),
            "{words}"
        );
    }

    #[test]
    fn what_is_not_understood_tells_nothing() {
        for text in ["", "x", "0 1", "0 1,0,5", "0 1,0,5,5,client,3,3,,nobody"] {
            assert_eq!(kinds_in_words(text), None, "{text}");
        }
        assert_eq!(IcmpError::read("5,client,3,300,,10.0.0.1"), None);
    }
}
