//! The numbers of DNS and the names that IANA gives them ("Domain Name System (DNS) Parameters").
//!
//! Owns: which number is shown under which name. Refuses: to reject a number; what has no name is shown as RFC 3597
//! writes it (`TYPE65280`, `CLASS32`), and codes likewise.

use std::fmt;

use domain::base::iana;

/// The type of a record or a question (RFC 1035, 3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type(pub u16);

impl Type {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// An alias.
    pub const CNAME: Self = Self(5);
    /// An IPv6 address (RFC 3596).
    pub const AAAA: Self = Self(28);
    /// The pseudo-record of EDNS (RFC 6891).
    pub const OPT: Self = Self(41);
    /// Changes of a zone (RFC 1995).
    pub const IXFR: Self = Self(251);
    /// A whole zone (RFC 5936).
    pub const AXFR: Self = Self(252);

    /// The name, unless IANA has given it none.
    pub fn name(self) -> Option<&'static str> {
        iana::Rtype::from_int(self.0).to_mnemonic_str()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(formatter, self.name(), "TYPE", self.0)
    }
}

/// The class of a record or a question (RFC 1035, 3.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);

    /// The name, unless IANA has given it none.
    pub fn name(self) -> Option<&'static str> {
        CLASSES
            .iter()
            .find(|(class, _)| *class == self.0)
            .map(|(_, name)| *name)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(formatter, self.name(), "CLASS", self.0)
    }
}

/// What a message is for (RFC 1035, 4.1.1; RFC 6895, 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A standard query.
    pub const QUERY: Self = Self(0);

    /// The name, unless IANA has given it none.
    pub fn name(self) -> Option<&'static str> {
        OPCODES
            .iter()
            .find(|(code, _)| *code == self.0)
            .map(|(_, name)| *name)
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(formatter, self.name(), "OPCODE", self.0)
    }
}

/// How a server answered (RFC 1035, 4.1.1), with the upper bits that EDNS adds (RFC 6891, 6.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The server could not make sense of the query.
    pub const FORMERR: Self = Self(1);
    /// The server could not process the query.
    pub const SERVFAIL: Self = Self(2);
    /// There is no such name.
    pub const NXDOMAIN: Self = Self(3);
    /// The server does not do this kind of query.
    pub const NOTIMP: Self = Self(4);
    /// The server does not want to answer.
    pub const REFUSED: Self = Self(5);

    /// The name, unless IANA has given it none.
    pub fn name(self) -> Option<&'static str> {
        RCODES
            .iter()
            .find(|(code, _)| *code == self.0)
            .map(|(_, name)| *name)
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(formatter, self.name(), "RCODE", self.0)
    }
}

fn named(
    formatter: &mut fmt::Formatter<'_>,
    name: Option<&str>,
    prefix: &str,
    number: impl fmt::Display,
) -> fmt::Result {
    match name {
        Some(name) => formatter.write_str(name),
        None => write!(formatter, "{prefix}{number}"),
    }
}

/// "DNS CLASSes".
const CLASSES: &[(u16, &str)] = &[(1, "IN"), (3, "CH"), (4, "HS"), (254, "NONE"), (255, "ANY")];

/// "DNS OpCodes".
const OPCODES: &[(u8, &str)] = &[
    (0, "QUERY"),
    (1, "IQUERY"),
    (2, "STATUS"),
    (4, "NOTIFY"),
    (5, "UPDATE"),
    (6, "DSO"),
];

/// "DNS RCODEs". 16 is BADVERS outside of TSIG records.
const RCODES: &[(u16, &str)] = &[
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (11, "DSOTYPENI"),
    (16, "BADVERS"),
    (17, "BADKEY"),
    (18, "BADTIME"),
    (19, "BADMODE"),
    (20, "BADNAME"),
    (21, "BADALG"),
    (22, "BADTRUNC"),
    (23, "BADCOOKIE"),
];
