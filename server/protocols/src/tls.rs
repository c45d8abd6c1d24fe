//! What the handshake of TLS says in clear (RFC 8446, RFC 5246): versions, cipher suite, ALPN, the server's name, JA4, alerts,
//! certificates up to TLS 1.2, and whether the handshake came to its end.
//!
//! Owns: records and messages put together in each direction (`lane`), what is in the messages (`hello`, `certificate`), when a
//! handshake is done, and what a failed one failed of (`verdict`). Refuses: to decrypt, to check signatures, and to name what it
//! cannot read: an alert that is encrypted is known by its length alone, and told as that.
//!
//! **Invariant**: what is held of a connection is bounded. Messages that are not whole (`MAX_MESSAGE_BYTES` for each direction) are let
//! go of when the handshake is over; from then on bytes cost nothing. Facts stay as long as the observer: lists and names in them are
//! cut, and what they take beyond `Facts::ORDINARY_BYTES` is told as held.

mod certificate;
mod facts;
mod handshake;
mod hello;
mod ja4;
mod lane;
mod names;
mod verdict;

pub use certificate::{Certificate, Key};
pub use facts::{Alert, ClientCertificate, ClientHello, Facts, Resumption, ServerHello};
pub use names::{alert_name, cipher_name, version_name};
pub use verdict::{Failure, Stage};

use crate::http1::Direction;
use handshake::Handshake;

/// Whether a connection, or what goes through a tunnel, begins TLS with these bytes: a ClientHello, a ServerHello, or an alert in
/// the place of one. `None`: there are too few of them to say so (see [`SHORTEST_BEGINNING`]).
pub fn begins(direction: Direction, data: &[u8]) -> Option<bool> {
    let hello = match direction {
        Direction::ToServer => 1,
        Direction::ToClient => 2,
    };
    let may_be =
        |place: usize, may: &dyn Fn(u8) -> bool| data.get(place).is_none_or(|byte| may(*byte));
    let is_hello = may_be(0, &|kind| kind == HANDSHAKE)
        && may_be(5, &|kind| kind == hello)
        && may_be(6, &|length| length == 0);
    let is_alert = may_be(0, &|kind| kind == ALERT)
        && may_be(3, &|high| high == 0)
        && may_be(4, &|low| low == 2)
        && may_be(5, &|level| matches!(level, 1 | 2));
    let may_begin =
        (is_hello || is_alert) && may_be(1, &|major| major == 3) && may_be(2, &|minor| minor <= 4);
    if may_begin && data.len() < SHORTEST_BEGINNING {
        return None;
    }
    Some(may_begin)
}

/// So many bytes say whether TLS begins with them.
pub const SHORTEST_BEGINNING: usize = 7;

/// Watches a connection until its handshake is over.
#[derive(Debug, Default)]
pub struct Observer {
    handshake: Box<Handshake>,
}

impl Observer {
    /// Before TLS began here the client said something else.
    pub fn client_spoke_no_tls(&mut self) {
        self.handshake.not_tls.0 = true;
    }

    /// The next bytes of a direction begin a turn, and so a record.
    pub fn turn(&mut self, direction: Direction) {
        self.handshake.lane_mut(direction).turn();
    }

    /// Bytes passed.
    pub fn bytes(&mut self, direction: Direction, at_ns: u64, data: &[u8]) {
        if !self.handshake.is_over() {
            self.handshake.bytes(direction, at_ns, data);
        }
    }

    /// So many bytes passed and are not known; the last of them at that time.
    pub fn skipped(&mut self, direction: Direction, at_ns: u64, length: u64) {
        if !self.handshake.is_over() {
            self.handshake.skipped(direction, at_ns, length);
        }
    }

    /// A direction is closed: who has said goodbye is answered, and no alert behind that tells of the handshake.
    pub fn closed(&mut self, direction: Direction, at_ns: u64) {
        self.handshake.lane_mut(direction).closed(at_ns);
    }

    /// What is known by now.
    pub fn facts(&self) -> &Facts {
        self.handshake.facts()
    }

    /// A number that changes when there is more to tell.
    pub fn news(&self) -> u32 {
        self.handshake.news()
    }

    /// What the handshake failed of. `has_ended`: the connection is over, and its end was seen.
    pub fn failure(&self, has_ended: bool) -> Option<Failure> {
        verdict::of(&self.handshake, has_ended)
    }

    /// Bytes of memory in messages that are not whole, and in facts beyond what is ordinary.
    pub fn held_bytes(&self) -> usize {
        self.handshake.held_bytes()
    }

    /// Holds no messages from here on: those that are not whole are read as far as they are there.
    pub fn let_go(&mut self) {
        self.handshake.let_go();
    }
}

/// Types of records (RFC 8446, section 5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

const TLS_1_3: u16 = 0x0304;
