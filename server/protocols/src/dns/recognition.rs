//! Whether octets on a port that says nothing are DNS.
//!
//! Owns: a strict test, for UDP. It is asked of each datagram to an unknown port, so it looks at the fixed part first,
//! keeps nothing, and would rather miss a rare message (no question, a name with other octets than printable ASCII, a
//! type without a name) than take another protocol for DNS. Refuses: to tell LLMNR (RFC 4795) from DNS: the octets may
//! be the same. Questions of multicast DNS pass unless they want a unicast answer (RFC 6762, 5.4). The caller leaves
//! multicast addresses out.

use domain::{
    base::{ParsedRecord, iana, wire::ParseError},
    dep::octseq::Parser,
};

use super::{
    Class, Flags, Opcode, Rcode, Type,
    message::{Header, RawQuestion},
    records::MAX_RECORDS,
};

/// Records that are read on: enough to see through what only begins like DNS.
const RECORDS_TRIED: usize = 8;

/// Whether `bytes`, the beginning of a datagram or all of it, may be a message of DNS.
pub fn looks_like_message(bytes: &[u8]) -> bool {
    let mut parser = Parser::from_ref(bytes);
    Header::parse(&mut parser).is_ok_and(|header| {
        plausible(&header) && question(&mut parser) && records(&mut parser, &header)
    })
}

fn plausible(header: &Header) -> bool {
    let counts = header.records;
    header.opcode() == Opcode::QUERY
        && header.questions == 1
        && !header.flags().contains(Flags::RESERVED)
        && counts.all() <= MAX_RECORDS
        && if header.response() {
            Rcode(header.rcode()).name().is_some()
        } else {
            let not_in_queries =
                Flags::AUTHORITATIVE.0 | Flags::TRUNCATED.0 | Flags::RECURSION_AVAILABLE.0;
            header.rcode() == 0
                && header.flags().0 & not_in_queries == 0
                && counts.answers == 0
                // A query for the changes of a zone says which version it has (RFC 1995, 3).
                && counts.authorities <= 1
                // EDNS and a signature.
                && counts.additionals <= 2
        }
}

/// Whether the only question parses and is an ordinary one. There is nothing before it that a pointer could mean.
fn question(parser: &mut Parser<'_, [u8]>) -> bool {
    let begin = parser.pos();
    let Ok(question) = RawQuestion::parse(parser) else {
        return false;
    };
    let name = question.qname();
    let octets = name.iter().map(|label| label.len() + 1).sum::<usize>();
    parser.pos() == begin + octets + 4
        && name
            .iter()
            .all(|label| label.as_slice().iter().all(u8::is_ascii_graphic))
        && Type(question.qtype().to_int()).name().is_some()
        && Class(question.qclass().to_int()).name().is_some()
}

/// Whether what follows is as many records as promised, or as many as there are octets for.
fn records(parser: &mut Parser<'_, [u8]>, header: &Header) -> bool {
    let promised = header.records.all();
    for _ in 0..promised.min(RECORDS_TRIED) {
        match ParsedRecord::parse(parser) {
            Ok(record) if Class(record.class().to_int()).name().is_some() => {}
            // The class of this one is a size.
            Ok(record) if record.rtype() == iana::Rtype::OPT => {}
            Ok(_) | Err(ParseError::Form(_)) => return false,
            // Cut by the observer, or by a server that was in a hurry.
            Err(ParseError::ShortInput) => return true,
        }
    }
    promised > RECORDS_TRIED || parser.remaining() == 0
}
