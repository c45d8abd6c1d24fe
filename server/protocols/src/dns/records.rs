//! The records behind the question.
//!
//! Owns: what is kept of them: addresses, the chain of aliases, how many of each other type, the least time to live, and
//! the pseudo-record of EDNS. Each list has a bound and a count of what passed. Refuses: to read the data of other
//! types, and to check that the records of an answer are about its question.

use std::net::IpAddr;

use domain::{
    base::{ParsedRecord, iana, name::ParsedName, wire::ParseError},
    dep::octseq::Parser,
    rdata::{A, Aaaa, Cname},
};

use super::{Class, Malformed, Name, Type};

/// Addresses that are kept of an answer.
pub const MAX_ADDRESSES: usize = 16;
/// Aliases that are kept of an answer. Resolvers give up on about as many.
pub const MAX_ALIASES: usize = 16;
/// Other types that are counted one by one.
pub const MAX_OTHER_TYPES: usize = 16;
/// Records that are looked at in a message: the bound of the work that a stranger can make.
pub const MAX_RECORDS: usize = 512;

/// What an answer section holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    /// The first [`MAX_ADDRESSES`] addresses (A, AAAA), in order.
    pub addresses: Vec<IpAddr>,
    /// How many addresses there were.
    pub address_count: u16,
    /// What the first [`MAX_ALIASES`] aliases (CNAME) stand for, in order.
    pub aliases: Vec<Name>,
    /// How many aliases there were.
    pub alias_count: u16,
    /// How many records of each other type, in order; the first [`MAX_OTHER_TYPES`] types.
    pub others: Vec<(Type, u16)>,
    /// How many records of types beyond those.
    pub uncounted: u16,
    /// The least time to live of all of them, in seconds.
    pub minimum_ttl_s: Option<u32>,
}

/// What the pseudo-record of EDNS says (RFC 6891, 6.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP payload that its sender takes.
    pub udp_payload_bytes: u16,
    /// The version: 0.
    pub version: u8,
    /// Whether its sender wants signatures (DO).
    pub dnssec_ok: bool,
}

/// How many records a header promises.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) answers: u16,
    pub(super) authorities: u16,
    pub(super) additionals: u16,
}

impl Counts {
    pub(super) fn all(self) -> usize {
        [self.answers, self.authorities, self.additionals]
            .into_iter()
            .map(usize::from)
            .sum()
    }
}

/// What the three sections came to.
#[derive(Default)]
pub(super) struct Sections {
    pub(super) answers: Answers,
    pub(super) edns: Option<Edns>,
    /// The bits above the four in the header.
    pub(super) upper_rcode: u8,
    pub(super) cut: bool,
    pub(super) flaw: Option<Malformed>,
}

impl Sections {
    /// Reads the records that `parser` stands before.
    pub(super) fn read(parser: &mut Parser<'_, [u8]>, counts: Counts, cut: bool) -> Self {
        let mut sections = Self {
            cut: counts.all() > MAX_RECORDS,
            ..Self::default()
        };
        match sections.records(parser, counts) {
            Ok(()) => {}
            Err(ParseError::ShortInput) if cut => sections.cut = true,
            Err(_) => sections.flaw = Some(Malformed::Record),
        }
        sections
    }

    fn records(&mut self, parser: &mut Parser<'_, [u8]>, counts: Counts) -> Result<(), ParseError> {
        let answers = usize::from(counts.answers);
        let behind = answers + usize::from(counts.authorities);
        for number in 0..counts.all().min(MAX_RECORDS) {
            let record = ParsedRecord::parse(parser)?;
            if number < answers {
                self.answer(&record);
            } else if number >= behind && record.rtype() == iana::Rtype::OPT {
                self.opt(&record);
            }
        }
        Ok(())
    }

    fn answer(&mut self, record: &ParsedRecord<'_, [u8]>) {
        let answers = &mut self.answers;
        // A time with the highest bit set counts as zero (RFC 2181, 8).
        let ttl_s = record.ttl().as_secs();
        let ttl_s = if ttl_s > i32::MAX.unsigned_abs() {
            0
        } else {
            ttl_s
        };
        answers.minimum_ttl_s = Some(
            answers
                .minimum_ttl_s
                .map_or(ttl_s, |least| least.min(ttl_s)),
        );
        let kind = Type(record.rtype().to_int());
        let internet = Class(record.class().to_int()) == Class::IN;
        let known = match kind {
            Type::A if internet => address(record).map(|address| answers.address(address)),
            Type::AAAA if internet => address6(record).map(|address| answers.address(address)),
            // Prerequisites of an update are of other classes, and empty (RFC 2136, 2.4).
            Type::CNAME if internet => alias(record).map(|name| answers.alias(name)),
            _ => {
                answers.other(kind);
                Some(())
            }
        };
        if known.is_none() {
            answers.other(kind);
            self.flaw = Some(Malformed::RecordData);
        }
    }

    /// ```text
    ///  31            24 23      16  15  14                    0
    /// +----------------+----------+----+-----------------------+
    /// | upper rcode    | version  | DO |          Z            |   where a TTL would be
    /// +----------------+----------+----+-----------------------+
    /// ```
    fn opt(&mut self, record: &ParsedRecord<'_, [u8]>) {
        let [upper_rcode, version, flags, _] = record.ttl().as_secs().to_be_bytes();
        self.upper_rcode = upper_rcode;
        self.edns = Some(Edns {
            udp_payload_bytes: record.class().to_int(),
            version,
            dnssec_ok: flags & 0x80 != 0,
        });
    }
}

impl Answers {
    fn address(&mut self, address: IpAddr) {
        self.address_count = self.address_count.saturating_add(1);
        if self.addresses.len() < MAX_ADDRESSES {
            self.addresses.push(address);
        }
    }

    fn alias(&mut self, name: ParsedName<&[u8]>) {
        self.alias_count = self.alias_count.saturating_add(1);
        if self.aliases.len() < MAX_ALIASES {
            self.aliases.push(Name::of(&name));
        }
    }

    fn other(&mut self, kind: Type) {
        if let Some((_, count)) = self.others.iter_mut().find(|(other, _)| *other == kind) {
            *count = count.saturating_add(1);
        } else if self.others.len() < MAX_OTHER_TYPES {
            self.others.push((kind, 1));
        } else {
            self.uncounted = self.uncounted.saturating_add(1);
        }
    }
}

fn address(record: &ParsedRecord<'_, [u8]>) -> Option<IpAddr> {
    let record = record.to_record::<A>().ok()??;
    Some(IpAddr::V4(record.data().addr()))
}

fn address6(record: &ParsedRecord<'_, [u8]>) -> Option<IpAddr> {
    let record = record.to_record::<Aaaa>().ok()??;
    Some(IpAddr::V6(record.data().addr()))
}

fn alias<'a>(record: &ParsedRecord<'a, [u8]>) -> Option<ParsedName<&'a [u8]>> {
    let record = record.to_record::<Cname<ParsedName<&'a [u8]>>>().ok()??;
    Some(*record.data().cname())
}
