//! The WebSocket that an exchange opened.
//!
//! Owns: the exchange of the handshake, held from its 101 until the connection ends, and how it is told then. Frames are
//! followed by the parser.

use std::sync::Arc;

use headwater_model::{Side, WebSocket, WebSocketEnding, WebSocketTally};
use headwater_protocols::exchange::Outcome;
use headwater_protocols::http1::{Direction, End};
use headwater_protocols::websocket::{Connection, Ending, Event, Tally};

use crate::dialect::{Open, Parsed};
use crate::heads::Heads;

/// What stands between the handshake and the end of the connection.
pub(crate) struct Upgraded {
    /// `None` once it was given out.
    handshake: Option<Parsed>,
    parser: Connection,
    compression: bool,
    /// When the first and the latest message were whole.
    messages_ns: Option<(u64, u64)>,
    /// Who ended the connection, and how.
    first_end: Option<(Direction, End)>,
    finished: [bool; 2],
    /// Pieces and holes so far.
    passed: u64,
    /// Something passed since what is known was last written into the exchange.
    stale: bool,
}

impl Upgraded {
    /// `compression`: the handshake agreed on permessage-deflate.
    pub(crate) fn new(handshake: Parsed, compression: bool) -> Self {
        Self {
            handshake: Some(handshake),
            parser: Connection::new(false, compression),
            compression,
            messages_ns: None,
            first_end: None,
            finished: [false; 2],
            passed: 0,
            stale: true,
        }
    }

    /// The next bytes begin a packet, or a frame as the probes follow them.
    pub(crate) fn packet(&mut self, direction: Direction) {
        self.parser.packet(direction);
    }

    pub(crate) fn bytes(&mut self, direction: Direction, at_ns: u64, data: &[u8]) {
        self.pass();
        let messages = &mut self.messages_ns;
        self.parser
            .bytes(direction, at_ns, data, &mut |event| note(messages, event));
    }

    pub(crate) fn skipped(&mut self, direction: Direction, at_ns: u64, length: u64) {
        self.pass();
        let messages = &mut self.messages_ns;
        self.parser.skipped(direction, at_ns, length, &mut |event| {
            note(messages, event);
        });
    }

    pub(crate) fn end(&mut self, direction: Direction, at_ns: u64, how: End, heads: &mut Heads) {
        self.parser.end(direction, how);
        self.first_end.get_or_insert((direction, how));
        let [to_server, to_client] = &mut self.finished;
        *match direction {
            Direction::ToServer => to_server,
            Direction::ToClient => to_client,
        } = true;
        if (how != End::Fin || self.finished == [true; 2])
            && let Some(mut handshake) = self.handshake.take()
        {
            if handshake.request.is_some() {
                handshake.outcome = self.outcome();
            }
            handshake.end_ns = at_ns;
            if let Some(response) = &mut handshake.response {
                Arc::make_mut(&mut response.value).websocket = Some(Box::new(self.told()));
            }
            heads.found.ended.push(handshake);
        }
    }

    /// A number that changes when there is more to tell.
    pub(crate) fn news(&self) -> u64 {
        self.passed
    }

    /// Writes what is known by now into the exchange, for whoever looks at it while it is open.
    pub(crate) fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let told = self.told();
        if let Some(response) = self
            .handshake
            .as_mut()
            .and_then(|handshake| handshake.response.as_mut())
        {
            Arc::make_mut(&mut response.value).websocket = Some(Box::new(told));
        }
    }

    pub(crate) fn open(&self) -> Option<Open<'_>> {
        self.handshake.as_ref().map(|handshake| Open {
            ordinal: handshake.ordinal,
            request: handshake.request.as_ref(),
            response: handshake.response.as_ref(),
            interim: handshake.interim,
            gaps: handshake.gaps,
            stream: None,
        })
    }

    fn pass(&mut self) {
        self.passed = self.passed.wrapping_add(1);
        self.stale = true;
    }

    /// Who sent the first close frame; `None` where an earlier one of the other side may have passed unseen.
    fn closed_by(&self) -> Option<Direction> {
        let first = self.parser.closed_first()?;
        let other = match first {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        };
        let seen = self.parser.is_exact(other) || self.parser.tally(other).close > 0;
        seen.then_some(first)
    }

    /// A close frame ends a WebSocket well, answered or not; without one, whoever ended the connection ended it.
    fn outcome(&self) -> Outcome {
        match (self.parser.ending(), self.first_end) {
            _ if self.parser.closed_first().is_some() => Outcome::Complete,
            (_, Some((_, End::TimedOut))) => Outcome::TimedOut,
            (_, Some((Direction::ToClient, End::Reset))) => Outcome::ServerReset,
            (_, Some((Direction::ToServer, End::Reset)))
            | (Ending::Abnormal, Some((Direction::ToServer, End::Fin))) => Outcome::ClientGaveUp,
            (Ending::Abnormal, Some((Direction::ToClient, End::Fin))) => Outcome::ServerClosed,
            _ => Outcome::Truncated,
        }
    }

    fn told(&self) -> WebSocket {
        let side = |direction| {
            tally(
                self.parser.tally(direction),
                self.parser.is_exact(direction),
            )
        };
        WebSocket {
            compression: self.compression,
            client: side(Direction::ToServer),
            server: side(Direction::ToClient),
            ending: match self.parser.ending() {
                Ending::Open => WebSocketEnding::Open,
                Ending::Closing => WebSocketEnding::Closing,
                Ending::Clean => WebSocketEnding::Clean,
                Ending::Unanswered => WebSocketEnding::Unanswered,
                Ending::Abnormal => WebSocketEnding::Abnormal,
                Ending::NotSeen => WebSocketEnding::NotSeen,
            },
            close_code: self.parser.code().map(|code| code.0),
            closed_by: self.closed_by().map(|direction| match direction {
                Direction::ToServer => Side::Client,
                Direction::ToClient => Side::Server,
            }),
            first_message_ns: self.messages_ns.map(|(first, _)| first),
            last_message_ns: self.messages_ns.map(|(_, last)| last),
        }
    }
}

fn note(messages: &mut Option<(u64, u64)>, event: Event<'_>) {
    if let Event::Message(message) = event {
        let first = messages.map_or(message.last_ns, |(first, _)| first);
        *messages = Some((first, message.last_ns));
    }
}

fn tally(tally: Tally, is_exact: bool) -> WebSocketTally {
    WebSocketTally {
        text: tally.text,
        binary: tally.binary,
        fragmented: tally.fragmented,
        compressed: tally.compressed,
        continuation_frames: tally.continuation_frames,
        ping: tally.ping,
        pong: tally.pong,
        close: tally.close,
        payload_bytes: tally.payload_bytes,
        malformed: tally.malformed,
        is_exact,
    }
}
