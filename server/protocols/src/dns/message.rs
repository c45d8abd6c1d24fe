//! One message: the header, the question, and what the records behind it come to.
//!
//! Owns: the three outcomes of reading (a message, too little copied to be of use, not DNS). The header and the question
//! are enough for a message: what is wrong or missing behind them is a part of it ([`Message::flaw`],
//! [`Message::answers_cut`]). Refuses: to keep the octets.

use domain::{
    base::{name::ParsedName, question, wire::ParseError},
    dep::octseq::Parser,
};

use super::{
    Class, Malformed, Name, Opcode, Rcode, Type,
    records::{Answers, Counts, Edns, Sections},
};

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Chosen by the client, and repeated by the server.
    pub id: u16,
    /// Whether it is a response (QR).
    pub response: bool,
    /// What it is for.
    pub opcode: Opcode,
    /// The flags.
    pub flags: Flags,
    /// How the server answered. Only the lower four bits when the record of EDNS was not copied.
    pub rcode: Rcode,
    /// The question. Some answers repeat none, and a query for a cookie has none (RFC 7873, 5.4).
    pub question: Option<Question>,
    /// What the answer section holds.
    pub answers: Answers,
    /// The record of EDNS (RFC 6891), when there is one and it was copied.
    pub edns: Option<Edns>,
    /// Whether there was more behind the question than was looked at: not copied, or beyond
    /// [`MAX_RECORDS`](super::MAX_RECORDS).
    pub answers_cut: bool,
    /// What was wrong behind the question. What stands before it was read.
    pub flaw: Option<Malformed>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// About which name. Compared without case.
    pub name: Name,
    /// Which records.
    pub kind: Type,
    /// Of which class.
    pub class: Class,
}

/// The flags of a header as a set, at the places that they have on the wire (RFC 1035, 4.1.1; RFC 6895, 2).
///
/// ```text
///  15  14 13 12 11  10   9   8   7   6   5   4   3  2  1  0
/// +---+------------+---+---+---+---+---+---+---+------------+
/// | QR|   opcode   | AA| TC| RD| RA| Z | AD| CD|   rcode    |
/// +---+------------+---+---+---+---+---+---+---+------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// The server is an authority for the name (AA).
    pub const AUTHORITATIVE: Self = Self(1 << 10);
    /// The answer did not fit (TC).
    pub const TRUNCATED: Self = Self(1 << 9);
    /// The client wants the server to ask others (RD).
    pub const RECURSION_DESIRED: Self = Self(1 << 8);
    /// The server would ask others (RA).
    pub const RECURSION_AVAILABLE: Self = Self(1 << 7);
    /// Reserved (Z).
    pub const RESERVED: Self = Self(1 << 6);
    /// The server has verified the answer (AD, RFC 4035, 3.2.3).
    pub const AUTHENTIC_DATA: Self = Self(1 << 5);
    /// The client verifies for itself (CD, RFC 4035, 3.2.2).
    pub const CHECKING_DISABLED: Self = Self(1 << 4);

    /// Whether all of `other` is in the set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What reading a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// At least its header and question were there.
    Message(Message),
    /// Too little was copied to see the header and the question.
    Cut,
    /// It is no message.
    Malformed(Malformed),
}

/// Reads a message of `wire_length` octets of which `bytes`, its beginning, was copied.
pub fn read(bytes: &[u8], wire_length: usize) -> Reading {
    let mut parser = Parser::from_ref(bytes);
    let cut = bytes.len() < wire_length;
    match message(&mut parser, cut) {
        Ok(message) => Reading::Message(message),
        Err((_, ParseError::ShortInput)) if cut => Reading::Cut,
        Err((element, _)) => Reading::Malformed(element),
    }
}

/// The fixed part of a message.
pub(super) struct Header {
    pub(super) id: u16,
    pub(super) flags: u16,
    pub(super) questions: u16,
    pub(super) records: Counts,
}

impl Header {
    pub(super) fn parse(parser: &mut Parser<'_, [u8]>) -> Result<Self, ParseError> {
        Ok(Self {
            id: parser.parse_u16_be()?,
            flags: parser.parse_u16_be()?,
            questions: parser.parse_u16_be()?,
            records: Counts {
                answers: parser.parse_u16_be()?,
                authorities: parser.parse_u16_be()?,
                additionals: parser.parse_u16_be()?,
            },
        })
    }

    pub(super) fn response(&self) -> bool {
        self.flags & (1 << 15) != 0
    }

    pub(super) fn opcode(&self) -> Opcode {
        let [upper, _] = self.flags.to_be_bytes();
        Opcode((upper >> 3) & 0xf)
    }

    pub(super) fn flags(&self) -> Flags {
        Flags(self.flags & 0x07f0)
    }

    /// The part of the code that is here.
    pub(super) fn rcode(&self) -> u16 {
        self.flags & 0xf
    }
}

/// A question as the crate reads it.
pub(super) type RawQuestion<'a> = question::Question<ParsedName<&'a [u8]>>;

fn message(parser: &mut Parser<'_, [u8]>, cut: bool) -> Result<Message, (Malformed, ParseError)> {
    let header = Header::parse(parser).map_err(|error| (Malformed::Header, error))?;
    let question = if header.questions == 0 {
        None
    } else {
        let question = RawQuestion::parse(parser).map_err(|error| (Malformed::Question, error))?;
        Some(Question {
            name: Name::of(question.qname()),
            kind: Type(question.qtype().to_int()),
            class: Class(question.qclass().to_int()),
        })
    };
    let sections = if header.questions > 1 {
        Sections {
            cut: true,
            flaw: Some(Malformed::QuestionCount),
            ..Sections::default()
        }
    } else {
        Sections::read(parser, header.records, cut)
    };
    Ok(Message {
        id: header.id,
        response: header.response(),
        opcode: header.opcode(),
        flags: header.flags(),
        rcode: Rcode(u16::from(sections.upper_rcode) << 4 | header.rcode()),
        question,
        answers: sections.answers,
        edns: sections.edns,
        answers_cut: sections.cut,
        flaw: sections.flaw,
    })
}
