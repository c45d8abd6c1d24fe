//! From what was seen of packets, at one end or both, to connections and exchanges.
//!
//! Owns: which flows are two ends of one connection, the order of bytes in each direction, the feeding of the protocol
//! parsers, and the bounded table of all this. A live record and a packet of a capture file come in through the same
//! `Input`. Does not: read sockets, files, `/proc` or clocks (times come with the input), know SQL, or hold captured text
//! longer than a parser needs it: heads are redacted the moment they are complete.
//!
//! Invariant: the bytes of one direction come from one place. They are taken from the sender's egress when the sender is
//! on this machine, else from the receiver's ingress, never from both.
#![forbid(unsafe_code)]

mod assembly;
mod conversation;
mod datagrams;
mod dialect;
mod dns;
mod event_stream;
mod gauge;
mod heads;
mod identity;
mod input;
mod pairing;
mod resolved;
mod stream;
mod table;
mod websocket;

pub use assembly::{Assembly, Limits, Passed, Spot, Tally, UdpPassed, UdpSocket};
pub use identity::{Identities, Identity, NoIdentities};
pub use input::{
    Datagram, Dropped, End, IcmpMessage, Idle, IdleCounts, Input, Look, Owner, Place, Quoted,
    QuotedDatagram, QuotedSegment, Session, SocketEnd, TcpFlags, Turn, Way,
};
