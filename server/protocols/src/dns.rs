//! DNS (RFC 1035 and its successors) as a passive observer sees it: what a message says, over UDP and TCP, and which
//! answer belongs to which query.
//!
//! Owns: reading a message from the octets that were copied of it ([`read`]), telling DNS from other protocols on a port
//! that says nothing ([`looks_like_message`]), cutting a TCP stream into messages ([`Stream`]), and the pairing
//! ([`Pairing`]). Refuses: to hold a clock, to resolve, to follow a name from one exchange into another (a stub that moves
//! to another server, or from UDP to TCP, begins another exchange; who joins them has more to go by), and to check a
//! signature. Multicast DNS and LLMNR are left out: their questions look alike, but an answer there may come from anybody,
//! so the caller keeps multicast addresses away from here.
//!
//! **Invariant**: each query is handed over exactly once as an [`Exchange`], unless it was counted as a retry of one that
//! waits; an answer that comes after its query was given up makes a second one, and says so
//! ([`Outcome::AnsweredLate`]). **Invariant**: what is held is bounded by [`Limits`], and so is the work for a message.
//!
//! The surprising part is that names are compared without case (RFC 4343) but reported with the case that the query had:
//! resolvers mix it on purpose, to be told from a forger.

mod answered;
mod exchange;
mod message;
mod name;
mod numbers;
mod pairing;
mod recognition;
mod records;
mod stream;
mod verdict;
mod waiting;

pub use exchange::{AnswerPart, Exchange, Outcome, QueryPart};
pub use message::{Flags, Message, Question, Reading, read};
pub use name::Name;
pub use numbers::{Class, Opcode, Rcode, Type};
pub use pairing::{Limits, Pairing};
pub use recognition::looks_like_message;
pub use records::{Answers, Edns, MAX_ADDRESSES, MAX_ALIASES, MAX_OTHER_TYPES, MAX_RECORDS};
pub use stream::{Lost, Standing, Stream};
pub use verdict::{Counts, Verdict};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From server to client: answers.
    ToClient,
    /// From client to server: queries.
    ToServer,
}

impl Way {
    /// The other way.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::ToClient => Self::ToServer,
            Self::ToServer => Self::ToClient,
        }
    }
}

/// What carries a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP (RFC 7766).
    Tcp,
    /// UDP (RFC 1035, 4.2.1).
    Udp,
}

/// The element of a message that was not as DNS wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// Fewer octets than a header has (RFC 1035, 4.1.1).
    Header,
    /// A question that does not end where the message does, or whose name is none (RFC 1035, 4.1.2).
    Question,
    /// More than one question (RFC 9619); the first one was read, and nothing behind it.
    QuestionCount,
    /// A record that does not end where the message does, or whose owner's name is none (RFC 1035, 4.1.3).
    Record,
    /// An address of another size than its type has, or an alias for something that is no name (RFC 1035, 3.3).
    RecordData,
}
