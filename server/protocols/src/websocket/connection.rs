//! Both directions, and how the connection between them was closed (RFC 6455, 7).
//!
//! Owns: who closed first, whether the other side answered, and what the end of TCP says where no close frame did.
//! Refuses: to say that there was no close frame where one could have passed unseen.

use super::{CloseCode, Direction, End, Event, Frames, Tally};

/// The WebSocket of one connection.
#[derive(Debug)]
pub struct Connection {
    to_server: Lane,
    to_client: Lane,
    /// Who sent the first close frame.
    first: Option<Direction>,
    /// Nothing comes any more, for a reason that is the connection's own.
    broken: bool,
    /// The observer stopped looking.
    evicted: bool,
}

#[derive(Debug)]
struct Lane {
    frames: Frames,
    /// Its first close frame.
    close: Option<Seen>,
    /// Its sender sent a FIN.
    ended: bool,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    code: Option<CloseCode>,
}

/// How a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// No close frame was seen, and TCP goes on.
    Open,
    /// One side sent a close frame, and TCP goes on.
    Closing,
    /// Both sides sent a close frame (RFC 6455, 7.1.4).
    Clean,
    /// TCP ended, and only one side had sent a close frame.
    Unanswered,
    /// TCP ended without a close frame: [`CloseCode::ABNORMAL_CLOSURE`].
    Abnormal,
    /// It ended, or the sight of it did, and a close frame may have passed unseen.
    NotSeen,
}

impl Connection {
    /// A connection from its handshake on, or `joined_midstream`. `compression` tells whether the handshake agreed on it
    /// ([`Handshake::compression`](super::Handshake::compression)); say `true` where that is not known.
    pub fn new(joined_midstream: bool, compression: bool) -> Self {
        let lane = |direction| {
            let frames = if joined_midstream {
                Frames::joined_midstream(direction)
            } else {
                Frames::new(direction)
            };
            Lane {
                frames: if compression {
                    frames
                } else {
                    frames.without_compression()
                },
                close: None,
                ended: false,
            }
        };
        Self {
            to_server: lane(Direction::ToServer),
            to_client: lane(Direction::ToClient),
            first: None,
            broken: false,
            evicted: false,
        }
    }

    /// The next bytes in `direction` are the first of a packet's payload ([`Frames::packet`]).
    pub fn packet(&mut self, direction: Direction) {
        self.lane_mut(direction).frames.packet();
    }

    /// Bytes passed at `at_ns`.
    pub fn bytes(
        &mut self,
        direction: Direction,
        at_ns: u64,
        data: &[u8],
        each: &mut impl FnMut(Event<'_>),
    ) {
        self.walk(direction, each, |frames, each| {
            frames.bytes(at_ns, data, &mut |event| each(event));
        });
    }

    /// `length` bytes passed that are not here; 0 when it is not known how many.
    pub fn skipped(
        &mut self,
        direction: Direction,
        at_ns: u64,
        length: u64,
        each: &mut impl FnMut(Event<'_>),
    ) {
        self.walk(direction, each, |frames, each| {
            frames.skipped(at_ns, length, &mut |event| each(event));
        });
    }

    /// `direction`, or the sight of it, ended.
    pub fn end(&mut self, direction: Direction, how: End) {
        match how {
            End::Fin => {
                self.lane_mut(direction).ended = true;
                self.broken |= self.to_server.ended && self.to_client.ended;
            }
            End::Reset | End::TimedOut => self.broken = true,
            End::Evicted => self.evicted |= !self.broken,
        }
    }

    /// How it was closed, as far as that is known.
    pub fn ending(&self) -> Ending {
        let unsure = |lane: &Lane| lane.close.is_none() && !lane.frames.is_exact();
        let closes = [&self.to_server, &self.to_client]
            .into_iter()
            .filter(|lane| lane.close.is_some())
            .count();
        let over = self.broken || self.evicted;
        match closes {
            2 => Ending::Clean,
            0 if !over => Ending::Open,
            _ if !over => Ending::Closing,
            _ if self.evicted || unsure(&self.to_server) || unsure(&self.to_client) => {
                Ending::NotSeen
            }
            0 => Ending::Abnormal,
            _ => Ending::Unanswered,
        }
    }

    /// Who sent the first close frame that was seen. While the other direction [is not exact](Self::is_exact), an earlier
    /// one may have passed unseen there.
    pub fn closed_first(&self) -> Option<Direction> {
        self.first
    }

    /// The status of the first close frame, or [`CloseCode::ABNORMAL_CLOSURE`] where TCP ended without one; `None` while
    /// it is open, and where the status was not seen.
    pub fn code(&self) -> Option<CloseCode> {
        match self.first {
            Some(direction) => self.close_code(direction),
            None => (self.ending() == Ending::Abnormal).then_some(CloseCode::ABNORMAL_CLOSURE),
        }
    }

    /// The status of the close frame that was sent in `direction`.
    pub fn close_code(&self, direction: Direction) -> Option<CloseCode> {
        self.lane(direction).close.and_then(|seen| seen.code)
    }

    /// What passed in `direction` so far.
    pub fn tally(&self, direction: Direction) -> Tally {
        self.lane(direction).frames.tally()
    }

    /// Whether that is all that passed, not a lower bound.
    pub fn is_exact(&self, direction: Direction) -> bool {
        self.lane(direction).frames.is_exact()
    }

    fn walk<E: FnMut(Event<'_>)>(
        &mut self,
        direction: Direction,
        each: &mut E,
        walk: impl FnOnce(&mut Frames, &mut dyn FnMut(Event<'_>)),
    ) {
        let lane = self.lane_mut(direction);
        let mut close = None;
        walk(&mut lane.frames, &mut |event| {
            if let Event::Close(frame) = event {
                close.get_or_insert(Seen { code: frame.code });
            }
            each(event);
        });
        if close.is_some() {
            lane.close = lane.close.or(close);
            self.first.get_or_insert(direction);
        }
    }

    fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    fn lane_mut(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}
