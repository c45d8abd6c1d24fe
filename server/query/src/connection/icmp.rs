//! `connection.icmp` read back: what the network said of a connection, by name.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::StoryLine;

/// What is stored: how many messages, the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IcmpNumbers {
    count: u64,
    first: Error,
    last: Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Error {
    after_ns: u64,
    /// Who sent the packet that it is about.
    about: &'static str,
    kind: u8,
    code: u8,
    mtu: Option<u32>,
    from: IpAddr,
}

impl IcmpNumbers {
    /// Reads the text of the column, in the order of the schema.
    pub(super) fn read(text: Option<&str>) -> Option<Self> {
        let mut parts = text?.split(' ');
        Some(Self {
            count: parts.next()?.parse().ok()?,
            first: Error::read(parts.next()?)?,
            last: Error::read(parts.next()?)?,
        })
    }

    /// The last message, which is what ended the connection if one did.
    pub(super) fn last_in_words(&self) -> String {
        self.last.words()
    }

    /// The messages, in one line where all that is known of them is the same.
    pub(super) fn story(&self) -> Vec<StoryLine> {
        let line = |error: &Error, times: String| StoryLine {
            after_ns: Some(i64::try_from(error.after_ns).unwrap_or(i64::MAX)),
            by: "",
            what: format!(
                "{}{times}, about a packet of the {}'s",
                error.words(),
                error.about
            ),
            id: None,
            captured: None,
        };
        let times = |count| format!(", {count} times");
        match (self.count, self.first.says_the_same_as(&self.last)) {
            (0 | 1, _) => vec![line(&self.first, String::new())],
            (count, true) => vec![line(&self.first, times(count))],
            (2, false) => vec![
                line(&self.first, String::new()),
                line(&self.last, String::new()),
            ],
            (count, false) => vec![
                line(&self.first, String::new()),
                line(
                    &self.last,
                    format!(", the last of {count} messages of ICMP"),
                ),
            ],
        }
    }
}

impl Error {
    fn read(text: &str) -> Option<Self> {
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

    fn says_the_same_as(&self, other: &Self) -> bool {
        let after_ns = self.after_ns;
        *self == Self { after_ns, ..*other }
    }

    fn words(&self) -> String {
        let (protocol, (what, detail)) = if self.from.is_ipv4() {
            ("ICMP", four(self.kind, self.code))
        } else {
            ("ICMPv6", six(self.kind, self.code))
        };
        let mut words = format!("{protocol} from {}: {what}", self.from);
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

    fn told(text: &str) -> Vec<String> {
        let numbers = IcmpNumbers::read(Some(text)).unwrap();
        numbers.story().into_iter().map(|line| line.what).collect()
    }

    #[test]
    fn messages_are_named() {
        assert_eq!(
            told("2 500,client,3,13,,10.0.0.1 900,client,3,13,,10.0.0.1"),
            [
                "ICMP from 10.0.0.1: destination unreachable, communication administratively prohibited (type 3, code 13), \
              2 times, about a packet of the client's"
            ]
        );
        assert_eq!(
            told("3 500,server,2,0,1280,fd00::1 900,client,3,0,,fd00::1"),
            [
                "ICMPv6 from fd00::1: packet too big, MTU 1280 (type 2, code 0), about a packet of the server's",
                "ICMPv6 from fd00::1: time exceeded, hop limit exceeded in transit (type 3, code 0), the last of 3 messages of \
              ICMP, about a packet of the client's"
            ]
        );
        assert_eq!(
            told("1 5,client,3,4,1400,10.0.0.1 5,client,3,4,1400,10.0.0.1"),
            [
                "ICMP from 10.0.0.1: destination unreachable, fragmentation needed and don't fragment set, MTU 1400 (type 3, \
              code 4), about a packet of the client's"
            ]
        );
    }

    #[test]
    fn what_is_not_understood_tells_nothing() {
        for text in [
            "",
            "1",
            "1 2,client",
            "x 5,client,3,4,,10.0.0.1 5,client,3,4,,10.0.0.1",
        ] {
            assert_eq!(IcmpNumbers::read(Some(text)), None, "{text}");
        }
        assert!(told("1 5,client,3,99,,10.0.0.1 5,client,3,99,,10.0.0.1")[0].contains("code 99"));
    }
}
