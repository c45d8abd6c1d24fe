//! A connection in TLS whose plaintext its ends' libraries tell.
//!
//! Owns: which session tells each direction, the order of its bytes, and when a direction is over. Does not know sockets.
//!
//! Invariant: the bytes of one direction come from one session, which is the one that tells the first of them: that of the end
//! that sends, for it does so before they leave, and knows the thread; where its library is not read, or its socket becomes known
//! later, the other end's, which tells what it reads. A direction is over when its session has said its last word, not when the last packet has passed.

use headwater_protocols::http1;

use super::Conversation;
use crate::{
    Passed, Place, Turn, Way,
    dialect::Dialect,
    heads::{Heads, tag},
    stream::{Missing, Piece, Stream, Stretch},
};

/// The plaintext of a connection.
pub(super) struct Plaintext {
    /// By who sends.
    lanes: [Lane; 2],
    /// The session of each end, once its socket is known.
    sessions: [Option<u64>; 2],
    /// Whether the beginning of the sessions was not seen.
    joined_midstream: bool,
    /// Whether an end has begun another session, of which the other end's does not count.
    is_restarted: bool,
}

/// One direction.
#[derive(Default)]
struct Lane {
    stream: Stream,
    /// The session that tells it, and whether it is that of the end that sends.
    source: Option<(u64, bool)>,
    /// What a tick saw pass, and when; see `Conversation::looked`.
    looked: Option<(u64, Passed)>,
    /// Its end, while the last word of its session has not come.
    end: Option<(u64, http1::End)>,
    /// That has come.
    is_over: bool,
    /// When its last byte came.
    last_ns: u64,
}

impl Plaintext {
    /// Bytes of both directions that passed, as far as they were told.
    pub(super) fn passed(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.stream.passed()).sum()
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.lanes.iter().map(|lane| lane.stream.held_bytes()).sum()
    }

    /// Whether the end of what `party` sends is left for later: whoever reads it may not be through, and how much passed
    /// that was not copied is told by the last word of the session.
    pub(super) fn defers_end(&mut self, party: usize, at_ns: u64, how: http1::End) -> bool {
        let has_session = self.sessions.iter().any(Option::is_some);
        let Some(lane) = self.lanes.get_mut(party) else {
            return false;
        };
        // Nothing of it may have been read as yet.
        let is_later = !lane.is_over && (lane.source.is_some() || has_session);
        if is_later {
            lane.end.get_or_insert((at_ns, how));
        }
        is_later
    }
}

impl Conversation {
    /// The TLS session of `party` is known. `is_new`: nothing of it passed before.
    pub(crate) fn has_session(&mut self, party: usize, session: u64, is_new: bool) {
        let joined_midstream = self.joined_midstream || !is_new;
        let plaintext = self.plaintext.get_or_insert_with(|| {
            Box::new(Plaintext {
                lanes: [Lane::default(), Lane::default()],
                sessions: [None, None],
                joined_midstream,
                is_restarted: false,
            })
        });
        if let Some(known) = plaintext.sessions.get_mut(party) {
            *known = Some(session);
        }
    }

    /// Whether no end is left for later.
    pub(crate) fn is_settled(&self) -> bool {
        self.plaintext
            .as_ref()
            .is_none_or(|plaintext| plaintext.lanes.iter().all(|lane| lane.end.is_none()))
    }

    /// The last word of a session has come.
    pub(crate) fn has_lost_session(&mut self, session: u64, heads: &mut Heads) {
        if let Some(plaintext) = &mut self.plaintext {
            for known in &mut plaintext.sessions {
                known.take_if(|known| *known == session);
            }
        }
        for party in 0..2 {
            let Some(plaintext) = &mut self.plaintext else {
                return;
            };
            let has_session = plaintext.sessions.iter().any(Option::is_some);
            let end = plaintext.lanes.get_mut(party).and_then(|lane| {
                let is_told_by_it = match lane.source {
                    Some((source, _)) => source == session,
                    None => !has_session,
                };
                if !is_told_by_it {
                    return None;
                }
                lane.is_over = true;
                Some((lane.end.take()?, lane.last_ns))
            });
            if let Some(((at_ns, how), last_ns)) = end {
                self.end_now(party, at_ns.max(last_ns), how, heads);
            }
        }
    }

    /// Takes what the session of `owner` tells.
    pub(crate) fn plaintext(
        &mut self,
        owner: usize,
        session: u64,
        turn: &Turn<'_>,
        heads: &mut Heads,
    ) {
        let is_own = turn.way == Way::Egress;
        let sender = if is_own { owner } else { 1 - owner };
        let is_first = {
            let Some(plaintext) = &mut self.plaintext else {
                return;
            };
            let is_first = plaintext.lanes.iter().all(|lane| lane.source.is_none());
            let joined = plaintext.joined_midstream;
            let Some(lane) = plaintext.lanes.get_mut(sender) else {
                return;
            };
            match lane.source {
                Some((source, _)) if source == session => {}
                None => {
                    lane.source = Some((session, is_own));
                    lane.is_over = false;
                    lane.stream = Stream::new(joined);
                }
                // The same end has begun another session on this connection.
                Some((_, was_own)) if was_own == is_own => {
                    plaintext.is_restarted = true;
                    lane.is_over = false;
                    lane.source = Some((session, is_own));
                    lane.stream = Stream::new(joined);
                }
                Some(_) => return,
            }
            lane.last_ns = lane.last_ns.max(turn.at_ns);
            is_first
        };
        if is_first {
            self.begin_plaintext(heads);
        }
        self.used = true;
        self.last_ns = self.last_ns.max(turn.at_ns);
        if self.client.is_none() {
            self.judge_roles(sender, turn.bytes);
        }
        if matches!(turn.place, Place::NewTurn) {
            self.judge_roles_again(sender, turn.bytes);
        }
        let piece = Piece {
            at_ns: turn.at_ns,
            // The thread that receives is not the one that sent.
            tag: if is_own {
                tag(turn.thread_id, turn.owned, turn.place == Place::NewTurn)
            } else {
                0
            },
            offset: turn.offset,
            payload_length: turn.payload_length,
            number: turn.number,
            place: turn.place,
            previous_ns: turn.previous_ns,
            previous_last_chunk: turn.previous_last_chunk,
            other_end: false,
            bytes: turn.bytes,
        };
        self.with_plaintext(sender, heads, |stream, give| stream.take(&piece, give));
    }

    /// What was read until now was ciphertext, or came before TLS began (a tunnel's CONNECT).
    fn begin_plaintext(&mut self, heads: &mut Heads) {
        let joined = self
            .plaintext
            .as_ref()
            .is_some_and(|plaintext| plaintext.joined_midstream);
        let at_ns = self.last_ns;
        for party in 0..2 {
            self.end_now(party, at_ns, http1::End::Evicted, heads);
        }
        self.dialect = Dialect::new(self.limits, joined);
        self.protocol = Some("tls");
        self.changed = true;
    }

    pub(super) fn with_plaintext(
        &mut self,
        party: usize,
        heads: &mut Heads,
        act: impl FnOnce(&mut Stream, &mut dyn FnMut(Stretch<'_>)),
    ) {
        let Some(mut plaintext) = self.plaintext.take() else {
            return;
        };
        let joined = plaintext.joined_midstream;
        // Back before the dialect is fed, which asks for it.
        let stream = plaintext
            .lanes
            .get_mut(party)
            .map(|lane| std::mem::take(&mut lane.stream));
        self.plaintext = Some(plaintext);
        let Some(mut stream) = stream else {
            return;
        };
        self.feed(party, joined, heads, |give| act(&mut stream, give));
        if let Some(lane) = self
            .plaintext
            .as_mut()
            .and_then(|plaintext| plaintext.lanes.get_mut(party))
        {
            lane.stream = stream;
        }
        self.note_plaintext(party);
    }

    /// Of a session without a socket its plaintext is all that is counted.
    fn note_plaintext(&mut self, party: usize) {
        if self.parties.iter().any(|party| party.cookie.is_some()) {
            return;
        }
        let passed = self
            .plaintext
            .as_ref()
            .and_then(|plaintext| plaintext.lanes.get(party))
            .map_or(0, |lane| lane.stream.passed());
        if let Some(party) = self.parties.get_mut(party) {
            party.bytes = party.bytes.max(passed);
        }
    }

    /// Whether anything of its plaintext was told.
    pub(crate) fn has_told_plaintext(&self) -> bool {
        self.plaintext
            .as_ref()
            .is_some_and(|plaintext| plaintext.lanes.iter().any(|lane| lane.source.is_some()))
    }

    /// The session that tells what `party` sends, and which way it does.
    pub(crate) fn source_of(&self, party: usize) -> Option<(u64, Way)> {
        let lane = self.plaintext.as_ref()?.lanes.get(party)?;
        let (session, is_own) = lane.source?;
        Some((session, if is_own { Way::Egress } else { Way::Ingress }))
    }

    /// Whether both ends' sessions count the same bytes, from the beginning.
    pub(crate) fn counts_alike(&self) -> bool {
        self.plaintext
            .as_ref()
            .is_some_and(|plaintext| !plaintext.joined_midstream && !plaintext.is_restarted)
    }

    /// A look into the probes' state of the session that tells what `party` sends. What one look saw is believed at the next
    /// (see `Conversation::looked`).
    /// Says whether the look before is believed, if there was one.
    pub(crate) fn look_at_plaintext(
        &mut self,
        party: usize,
        now_ns: u64,
        read_until_ns: u64,
        passed: Option<Passed>,
        heads: &mut Heads,
    ) -> bool {
        let Some(lane) = self
            .plaintext
            .as_mut()
            .and_then(|plaintext| plaintext.lanes.get_mut(party))
        else {
            return true;
        };
        if lane.looked.is_some_and(|(at_ns, _)| at_ns > read_until_ns) {
            return false;
        }
        let last = std::mem::replace(&mut lane.looked, passed.map(|passed| (now_ns, passed)));
        if let Some((_, before)) = last.filter(|(_, before)| before.bytes > lane.stream.passed()) {
            self.advance_plaintext(party, before, heads);
        }
        true
    }

    /// All of what `party` sends before that has passed.
    pub(crate) fn advance_plaintext(&mut self, party: usize, passed: Passed, heads: &mut Heads) {
        let why = Missing::NotCopied {
            last_chunk: passed.last_chunk,
        };
        let at_ns = if passed.last_ns == 0 {
            self.last_ns
        } else {
            passed.last_ns
        };
        if let Some(lane) = self
            .plaintext
            .as_mut()
            .and_then(|plaintext| plaintext.lanes.get_mut(party))
        {
            lane.last_ns = lane.last_ns.max(at_ns);
        }
        self.with_plaintext(party, heads, |stream, give| {
            stream.advance(passed.bytes, at_ns, why, give);
        });
    }

    /// Nothing more comes: the ends that were left for later.
    pub(crate) fn end_plaintext(&mut self, heads: &mut Heads) {
        for party in 0..2 {
            let end = self
                .plaintext
                .as_mut()
                .and_then(|plaintext| plaintext.lanes.get_mut(party))
                .and_then(|lane| Some((lane.end.take()?, lane.last_ns)));
            if let Some(((at_ns, how), last_ns)) = end {
                self.end_now(party, at_ns.max(last_ns), how, heads);
            }
        }
    }
}
