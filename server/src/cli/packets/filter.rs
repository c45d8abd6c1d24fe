//! The filter of `packets`: words as capture tools have them, joined with and, or, not and parentheses.
//!
//! Owns: the grammar, whether a packet is taken, and what of it the kernel can decide beforehand.
//!
//! ```text
//! filter = both *("or" both)
//! both   = one *(["and"] one)
//! one    = "not" one / "(" filter ")" / term
//! term   = "tcp" / "udp" / "icmp" / "ip" / "ip6" / "port" NUMBER / "host" ADDRESS / "net" ADDRESS "/" LENGTH
//!        / "syn" / "fin" / "rst" / "in" / "out" / "pid" NUMBER / "program" NAME
//! ```

use std::net::IpAddr;

use headwater_schema::record::tcp_flag;

use super::headers::Headers;
use crate::probes::HeaderFilter;

/// Parentheses and `not` in one another at most.
const MAX_DEPTH: usize = 32;
/// What a term may be, for who wrote another.
const TERMS: &str = "tcp, udp, icmp, ip, ip6, port NUMBER, host ADDRESS, net ADDRESS/LENGTH, syn, fin, rst, in, out, pid NUMBER, \
                     program NAME, joined with and, or, not and parentheses";

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Term(Term),
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    /// IANA's number; 1 stands for ICMP of both families.
    Protocol(u8),
    Family(u8),
    Port(u16),
    /// Address and length of its prefix.
    Net(IpAddr, u8),
    TcpFlag(u8),
    IsSent(bool),
    Pid(u32),
    Program(String),
}

impl Filter {
    /// Reads a filter. None takes every packet.
    ///
    /// # Errors
    /// What was wrong, and what would be right.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut words = Words {
            rest: spaced.split_whitespace().collect(),
            depth: 0,
        };
        words.rest.reverse();
        if words.rest.is_empty() {
            return Ok(Self::All(Vec::new()));
        }
        let filter = words.any()?;
        match words.rest.pop() {
            None => Ok(filter),
            Some(word) => Err(format!("{word:?} stands where nothing more was expected")),
        }
    }

    /// Whether it takes a packet.
    pub(super) fn takes(&self, packet: &Headers) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.takes(packet)),
            Self::Any(any) => any.iter().any(|one| one.takes(packet)),
            Self::Not(one) => !one.takes(packet),
            Self::Term(term) => term.holds(packet),
        }
    }

    /// What every packet that it takes has in common, as far as the kernel can tell.
    pub(super) fn implied(&self) -> HeaderFilter {
        let mut filter = HeaderFilter::default();
        self.imply(&mut filter);
        filter
    }

    fn imply(&self, filter: &mut HeaderFilter) {
        match self {
            Self::All(all) => all.iter().for_each(|one| one.imply(filter)),
            Self::Any(any) => {
                if let [one] = &any[..] {
                    one.imply(filter);
                }
            }
            Self::Not(_) => {}
            Self::Term(term) => term.imply(filter),
        }
    }
}

impl Term {
    fn holds(&self, packet: &Headers) -> bool {
        match self {
            Self::Protocol(1) => matches!(packet.protocol, 1 | 58),
            Self::Protocol(number) => packet.protocol == *number,
            Self::Family(family) => packet.family() == *family,
            Self::Port(port) => packet
                .ports
                .is_some_and(|(from, to)| from == *port || to == *port),
            Self::Net(net, length) => [packet.source, packet.destination]
                .into_iter()
                .any(|address| is_within(address, *net, *length)),
            Self::TcpFlag(flag) => packet.tcp.as_ref().is_some_and(|tcp| tcp.flags & flag != 0),
            Self::IsSent(is_sent) => packet.is_sent == *is_sent,
            Self::Pid(pid) => packet
                .process
                .as_ref()
                .is_some_and(|known| known.pid == *pid),
            Self::Program(name) => packet
                .process
                .as_ref()
                .is_some_and(|known| known.name == *name),
        }
    }

    /// The first condition of each kind is the kernel's; further ones are looked at here alone.
    fn imply(&self, filter: &mut HeaderFilter) {
        let set = |place: &mut u32, value: u32| {
            if *place == 0 {
                *place = value;
            }
        };
        match self {
            Self::Protocol(number) => set(&mut filter.protocol, u32::from(*number)),
            Self::Family(family) => set(&mut filter.family, u32::from(*family)),
            Self::Port(port) => set(&mut filter.port, u32::from(*port)),
            Self::TcpFlag(flag) => set(&mut filter.tcp_flags, u32::from(*flag)),
            Self::Net(net, length) if filter.mask == [0, 0] => {
                let family = if net.is_ipv4() { 4 } else { 6 };
                set(&mut filter.family, family);
                filter.mask = halves(mask(*length, net.is_ipv4()));
                filter.net = halves(bits(*net));
            }
            Self::Net(..) | Self::IsSent(_) | Self::Pid(_) | Self::Program(_) => {}
        }
    }
}

/// An address as the kernel compares it: IPv4's 32 bits come first.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u128::from(four.to_bits()) << 96,
        IpAddr::V6(six) => six.to_bits(),
    }
}

/// So many ones, and then zeros.
fn mask(length: u8, is_four: bool) -> u128 {
    let most = if is_four { 32 } else { 128 };
    match u32::from(length.min(most)) {
        0 => 0,
        length => u128::MAX << (128 - length),
    }
}

fn halves(bits: u128) -> [u64; 2] {
    let low = u128::from(u64::MAX);
    [bits >> 64, bits & low].map(|half| u64::try_from(half).unwrap_or(0))
}

fn is_within(address: IpAddr, net: IpAddr, length: u8) -> bool {
    address.is_ipv4() == net.is_ipv4()
        && (bits(address) ^ bits(net)) & mask(length, net.is_ipv4()) == 0
}

/// The words that are left, last first.
struct Words<'a> {
    rest: Vec<&'a str>,
    depth: usize,
}

impl<'a> Words<'a> {
    fn any(&mut self) -> Result<Filter, String> {
        let mut any = vec![self.all()?];
        while self.rest.last() == Some(&"or") {
            self.rest.pop();
            any.push(self.all()?);
        }
        Ok(one_or(any, Filter::Any))
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut all = vec![self.one()?];
        loop {
            match self.rest.last() {
                None | Some(&("or" | ")")) => return Ok(one_or(all, Filter::All)),
                Some(&"and") => {
                    self.rest.pop();
                }
                Some(_) => {}
            }
            all.push(self.one()?);
        }
    }

    fn one(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!(
                "more than {MAX_DEPTH} parentheses and nots in one another"
            ));
        }
        let word = self.word()?;
        let filter = match word {
            "not" => Filter::Not(Box::new(self.one()?)),
            "(" => {
                let inner = self.any()?;
                if self.rest.pop() != Some(")") {
                    return Err("a parenthesis is not closed".to_owned());
                }
                inner
            }
            _ => Filter::Term(self.term(word)?),
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn term(&mut self, word: &str) -> Result<Term, String> {
        Ok(match word {
            "tcp" => Term::Protocol(6),
            "udp" => Term::Protocol(17),
            "icmp" => Term::Protocol(1),
            "ip" => Term::Family(4),
            "ip6" => Term::Family(6),
            "syn" => Term::TcpFlag(tcp_flag::SYN),
            "fin" => Term::TcpFlag(tcp_flag::FIN),
            "rst" => Term::TcpFlag(tcp_flag::RST),
            "in" => Term::IsSent(false),
            "out" => Term::IsSent(true),
            "port" => {
                Term::Port(self.number("port", "a number from 1 to 65535", |port: &u16| *port > 0)?)
            }
            "pid" => Term::Pid(self.number("pid", "the number of a process", |_| true)?),
            "program" => Term::Program(self.word()?.to_owned()),
            "host" => {
                let address: IpAddr = self.number("host", "an IP address", |_| true)?;
                Term::Net(address, if address.is_ipv4() { 32 } else { 128 })
            }
            "net" => net(self.word()?)?,
            _ => return Err(format!("{word:?} is no condition; there are {TERMS}")),
        })
    }

    fn word(&mut self) -> Result<&'a str, String> {
        let word = self.rest.pop();
        word.ok_or_else(|| format!("something is missing at the end; there are {TERMS}"))
    }

    fn number<T: std::str::FromStr>(
        &mut self,
        name: &str,
        what: &str,
        is_good: impl Fn(&T) -> bool,
    ) -> Result<T, String> {
        let word = self.word()?;
        let number = word.parse().ok().filter(|number| is_good(number));
        number.ok_or_else(|| format!("{name} {word:?}: expected {what}"))
    }
}

fn net(word: &str) -> Result<Term, String> {
    let read = word.split_once('/').and_then(|(address, length)| {
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length: u8 = length.parse().ok().filter(|length| *length <= most)?;
        Some(Term::Net(address, length))
    });
    read.ok_or_else(|| {
        format!("net {word:?}: expected an address and a length such as 10.0.0.0/8 or fd00::/8")
    })
}

fn one_or(mut filters: Vec<Filter>, many: impl Fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(one) if filters.is_empty() => one,
        last => {
            filters.extend(last);
            many(filters)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (text, told) in [
            ("port", "missing at the end"),
            ("port 0", "from 1 to 65535"),
            ("port http", "from 1 to 65535"),
            ("host example.com", "an IP address"),
            ("net 10.0.0.0", "10.0.0.0/8"),
            ("net 10.0.0.0/33", "10.0.0.0/8"),
            ("tcp and", "missing at the end"),
            ("tcp or or udp", "no condition"),
            ("(tcp", "not closed"),
            ("tcp)", "nothing more"),
            ("prot 80", "no condition; there are tcp,"),
            ("not", "missing at the end"),
        ] {
            let mistake = Filter::parse(text).unwrap_err();
            assert!(mistake.contains(told), "{text}: {mistake}");
        }
        let deep = format!("{}tcp", "not ".repeat(1000));
        assert!(Filter::parse(&deep).unwrap_err().contains("more than 32"));
    }

    #[test]
    fn the_kernel_is_asked_for_what_all_have_in_common() {
        let implied = |text: &str| Filter::parse(text).unwrap().implied();
        assert_eq!(implied(""), HeaderFilter::default());
        assert_eq!(
            implied("tcp port 80 or port 443"),
            HeaderFilter::default(),
            "either may hold"
        );
        assert_eq!(implied("not tcp"), HeaderFilter::default());
        let both = implied("tcp and (port 80) and port 443 and syn and not host 10.0.0.1");
        assert_eq!((both.protocol, both.port, both.tcp_flags), (6, 80, 2));
        assert_eq!(both.mask, [0, 0]);
        let net = implied("net 10.1.2.3/8");
        assert_eq!(
            (net.family, net.net[0], net.mask),
            (4, 0x0a01_0203_0000_0000, [0xff00_0000_0000_0000, 0])
        );
        let host = implied("host fd00::1");
        assert_eq!(
            (host.family, host.net, host.mask),
            (6, [0xfd00 << 48, 1], [u64::MAX; 2])
        );
        assert_eq!(implied("net ::/0").mask, [0, 0]);
    }
}
