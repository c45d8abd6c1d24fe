//! Sessions of TLS libraries: which conversation each belongs to.
//!
//! Owns: the table of sessions, and what they said before their socket was known, which is held for a while. A session whose
//! socket does not become known has a conversation without addresses. Does not parse.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use headwater_model::CloseReason;
use headwater_protocols::http1;

use super::{Assembly, Passed, Spot};
use crate::{Identities, Identity, Session, Turn, conversation::Party, table::FastMap};

/// How long a session may say something before its socket is known. It sends soon, or never.
const WAIT_NS: u64 = 1_000_000_000;
/// How long one whose socket is not sure waits for that, which it is as soon as it writes: not as long as an exchange is open before
/// it is shown.
const UNSURE_NS: u64 = 400_000_000;
/// Bytes held of one session that waits.
const MOST_WAITING_BYTES: usize = 32 << 10;
/// Sessions that wait with something to say.
const MOST_WAITING: usize = 256;
/// So many that those that are over are looked for.
const MANY_SESSIONS: usize = 1_024;
/// What has not been heard of for so long, and has no connection, is over.
const DEAD_NS: u64 = 10_000_000_000;
/// Sessions remembered; those heard of longest ago go first.
const MOST_SESSIONS: usize = 16_384;

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions {
    known: FastMap<u64, Known>,
    /// Whose a socket is for sure.
    owners: FastMap<u64, u64>,
    /// Of those that wait.
    waiting: usize,
}

/// One session.
#[derive(Default)]
struct Known {
    address: u64,
    pid: u32,
    identity: Option<Identity>,
    /// Its socket.
    cookie: Option<u64>,
    /// As in [`Session`].
    is_sure: bool,
    /// Whether it has waited for that for long enough.
    is_believed: bool,
    is_new: bool,
    /// The conversation without addresses that it has been given, with its generation.
    alone: Option<(usize, u64)>,
    held: Vec<Held>,
    held_bytes: usize,
    at_ns: u64,
}

impl Known {
    /// Whether its socket is known, or it has been given up that it will be.
    fn is_tied(&self) -> bool {
        self.cookie.is_some() && (self.is_sure || self.is_believed) || self.alone.is_some()
    }
}

struct Held {
    turn: Turn<'static>,
    bytes: Box<[u8]>,
}

impl<I: Identities> Assembly<I> {
    pub(super) fn session(&mut self, session: &Session) {
        let identity = self.identities.owner(&session.owner).map(|mut identity| {
            if let Some(process) = identity.news.take() {
                self.events.push(headwater_model::Event::Process(process));
            }
            identity
        });
        self.make_room_for_session(session.id);
        let known = self.sessions.known.entry(session.id).or_default();
        known.address = session.address;
        known.pid = session.owner.pid;
        known.at_ns = session.at_ns;
        if identity.is_some() {
            known.identity = identity;
        }
        let Some(cookie) = session.cookie else {
            return;
        };
        if known.cookie.is_some() && (known.is_sure || !session.is_sure) {
            return;
        }
        let before = known.cookie.replace(cookie);
        known.is_sure = session.is_sure;
        if before != Some(cookie) {
            // What is held was written before the handshake that it began.
            known.is_new = session.is_new;
        }
        if session.is_sure {
            self.sessions.owners.insert(cookie, session.id);
        }
        let is_new = known.is_new;
        if let Some(before) = before.filter(|before| *before != cookie) {
            self.take_from(before, session.id);
        }
        // What it says may come when all packets have passed.
        if let Some((place, party)) = self.table.flows.get(&cookie).and_then(|flow| flow.place)
            && let Some(conversation) = self.table.get_mut(place)
        {
            conversation.has_session(party, session.id, is_new);
        }
        self.say_what_was_held(session.id);
    }

    /// A session was not that of this socket, whose conversation may have waited for its last word.
    fn take_from(&mut self, cookie: u64, id: u64) {
        if let Some((place, _)) = self.table.flows.get(&cookie).and_then(|flow| flow.place)
            && let Some(conversation) = self.table.get_mut(place)
        {
            conversation.has_lost_session(id, &mut self.heads);
            self.deliver(place);
        }
    }

    pub(super) fn session_end(&mut self, session: &Session) {
        // What it said last, and then no more.
        self.say_what_was_held(session.id);
        let has_more = self
            .sessions
            .known
            .get(&session.id)
            .is_some_and(|known| !known.held.is_empty());
        if has_more {
            self.wait_no_longer(session.id);
        }
        let Some(known) = self.sessions.known.remove(&session.id) else {
            return;
        };
        if let Some(cookie) = known.cookie
            && self.sessions.owners.get(&cookie) == Some(&session.id)
        {
            self.sessions.owners.remove(&cookie);
        }
        if let Some((place, party)) = self.place_of_session(&known) {
            for sender in 0..2 {
                let Some(conversation) = self.table.get_mut(place) else {
                    return;
                };
                let Some((source, _)) = conversation.source_of(sender) else {
                    continue;
                };
                // What the other end's session tells may be known to this one better: who closes first says its last word
                // before the sender does.
                if source != session.id && !conversation.counts_alike() {
                    continue;
                }
                let passed = if sender == party {
                    session.written
                } else {
                    session.read
                };
                conversation.advance_plaintext(sender, passed, &mut self.heads);
            }
            if let Some(conversation) = self.table.get_mut(place) {
                conversation.has_lost_session(session.id, &mut self.heads);
            }
            self.deliver(place);
            if known.alone.is_some() {
                self.finish_now(place, session.at_ns, CloseReason::Unknown, http1::End::Fin);
            } else if self.table.get_mut(place).is_some_and(|conversation| {
                conversation.has_ended()
                    && conversation.sockets_are_closed()
                    && conversation.is_settled()
            }) {
                self.conclude(place);
            }
        }
    }

    pub(super) fn plaintext(&mut self, turn: &Turn<'_>) {
        self.make_room_for_session(turn.cookie);
        let known = self.sessions.known.entry(turn.cookie).or_default();
        known.at_ns = turn.at_ns;
        if !known.held.is_empty() {
            self.say_what_was_held(turn.cookie);
        }
        let Some(known) = self.sessions.known.get_mut(&turn.cookie) else {
            return;
        };
        if known.is_tied() && known.held.is_empty() {
            return self.say(turn);
        }
        self.sessions.waiting += usize::from(known.held.is_empty());
        known.held_bytes += turn.bytes.len();
        known.held.push(Held {
            turn: Turn {
                bytes: &[],
                ..*turn
            },
            bytes: turn.bytes.into(),
        });
        if known.held_bytes > MOST_WAITING_BYTES || self.sessions.waiting > MOST_WAITING {
            self.wait_no_longer(turn.cookie);
        }
    }

    /// Gives what a session says to its conversation.
    fn say(&mut self, turn: &Turn<'_>) {
        let Some(known) = self.sessions.known.get(&turn.cookie) else {
            return;
        };
        let is_new = known.is_new;
        let Some((place, party)) = self.place_of_session(known) else {
            self.tally.plaintext_unfollowed += 1;
            return;
        };
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        conversation.has_session(party, turn.cookie, is_new);
        if let Some(known) = self.sessions.known.get_mut(&turn.cookie)
            && let Some(identity) = known.identity.take()
            && let Some(party) = conversation.parties.get_mut(party)
        {
            party.identity.get_or_insert(identity);
        }
        conversation.plaintext(party, turn.cookie, turn, &mut self.heads);
        self.deliver(place);
        self.keep_within_budget(turn.at_ns);
    }

    fn place_of_session(&self, known: &Known) -> Option<(usize, usize)> {
        if let Some((place, generation)) = known.alone {
            return self
                .table
                .generation(place)
                .is_some_and(|now| now == generation)
                .then_some((place, 0));
        }
        self.table.flows.get(&known.cookie?)?.place
    }

    /// Gives what was held, once there is a conversation for it. The record that ties a session to its socket comes before that of the
    /// packet by which a connection is met that is older than the recorder.
    fn say_what_was_held(&mut self, id: u64) {
        let Some(known) = self.sessions.known.get(&id).filter(|known| known.is_tied()) else {
            return;
        };
        let is_new = known.is_new;
        let Some((place, party)) = self.place_of_session(known) else {
            return;
        };
        if let Some(conversation) = self.table.get_mut(place) {
            // So that nobody else is taken to tell what it sends.
            conversation.has_session(party, id, is_new);
        }
        for Held { turn, bytes } in self.take_held(id) {
            self.say(&Turn {
                bytes: &bytes,
                ..turn
            });
        }
    }

    fn take_held(&mut self, id: u64) -> Vec<Held> {
        let Some(known) = self.sessions.known.get_mut(&id) else {
            return Vec::new();
        };
        known.held_bytes = 0;
        let held = std::mem::take(&mut known.held);
        if !held.is_empty() {
            self.sessions.waiting = self.sessions.waiting.saturating_sub(1);
        }
        held
    }

    /// What a session said is not held any longer: it is given a conversation without addresses where its socket is not known, or not
    /// sure and another's or closed; where it is known and no connection of that, nothing is told.
    fn wait_no_longer(&mut self, id: u64) {
        let Some(known) = self.sessions.known.get_mut(&id) else {
            return;
        };
        if !known.is_tied() {
            let is_anothers = known.cookie.is_none_or(|cookie| {
                let owner = self.sessions.owners.get(&cookie);
                // Nor is one believed whose connection is over.
                owner.is_some_and(|owner| *owner != id) || !self.table.flows.contains_key(&cookie)
            });
            if is_anothers {
                if let Some(cookie) = known.cookie {
                    self.take_from(cookie, id);
                }
                return self.leave_alone(id);
            }
            known.is_believed = true;
        }
        self.say_what_was_held(id);
        self.tally.plaintext_unfollowed += self.take_held(id).len() as u64;
    }

    /// Gives a session a conversation without addresses.
    fn leave_alone(&mut self, id: u64) {
        let Some(known) = self.sessions.known.get(&id) else {
            return;
        };
        let (identity, at_ns) = (known.identity.clone(), known.at_ns);
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let mut parties = [
            Party::new(None, nowhere, nowhere, 0),
            Party::new(None, nowhere, nowhere, 0),
        ];
        if let Some(own) = parties.first_mut() {
            own.identity = identity;
        }
        let first_ns = known.held.first().map_or(at_ns, |held| held.turn.at_ns);
        let place = self.begin(parties, first_ns, true, false);
        self.tally.sessions_unbound += 1;
        let generation = self.table.generation(place).unwrap_or(0);
        if let Some(known) = self.sessions.known.get_mut(&id) {
            known.alone = Some((place, generation));
        }
        self.say_what_was_held(id);
    }

    /// Looks for sessions that have waited for long enough, and, where there are many, for those that are over without having said so.
    pub(super) fn tick_sessions(&mut self, now_ns: u64) {
        // What would tell its socket may be in a record yet to be read.
        let now_ns = self.read_until_ns.unwrap_or(now_ns);
        self.forget_dead_sessions(now_ns);
        if self.sessions.waiting == 0 {
            return;
        }
        let late: Vec<u64> = self
            .sessions
            .known
            .iter()
            .filter(|(_, known)| {
                let wait_ns = if known.cookie.is_some() && !known.is_tied() {
                    UNSURE_NS
                } else {
                    WAIT_NS
                };
                known
                    .held
                    .first()
                    .is_some_and(|held| now_ns.saturating_sub(held.turn.at_ns) > wait_ns)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            self.wait_no_longer(id);
        }
    }

    /// Processes that are killed free nothing: their sessions go some time after their connections.
    fn forget_dead_sessions(&mut self, now_ns: u64) {
        if self.sessions.known.len() < MANY_SESSIONS {
            return;
        }
        let table = &self.table;
        self.sessions.known.retain(|_, known| {
            let has_place = match (known.alone, known.cookie) {
                (Some((place, generation)), _) => table.generation(place) == Some(generation),
                (None, Some(cookie)) => table.flows.contains_key(&cookie),
                (None, None) => false,
            };
            has_place || !known.held.is_empty() || now_ns.saturating_sub(known.at_ns) < DEAD_NS
        });
        self.forget_owners();
    }

    /// What the probes know of the sessions that tell a conversation's plaintext. Says whether the looks before are believed.
    pub(super) fn look_at_sessions(
        &mut self,
        place: usize,
        now_ns: u64,
        look: &mut impl FnMut(Spot) -> Option<Passed>,
    ) -> bool {
        let read_until_ns = self.read_until_ns.unwrap_or(u64::MAX);
        let mut are_believed = true;
        for sender in 0..2 {
            let Some(conversation) = self.table.get_mut(place) else {
                break;
            };
            let Some((source, way)) = conversation.source_of(sender) else {
                continue;
            };
            let Some(known) = self.sessions.known.get(&source) else {
                continue;
            };
            let passed = look(Spot::Session {
                id: source,
                pid: known.pid,
                address: known.address,
                way,
            });
            are_believed &= conversation.look_at_plaintext(
                sender,
                now_ns,
                read_until_ns,
                passed,
                &mut self.heads,
            );
        }
        are_believed
    }

    fn make_room_for_session(&mut self, id: u64) {
        if self.sessions.known.len() < MOST_SESSIONS || self.sessions.known.contains_key(&id) {
            return;
        }
        let mut times: Vec<u64> = self
            .sessions
            .known
            .values()
            .map(|known| known.at_ns)
            .collect();
        times.sort_unstable();
        let older = times.get(times.len() / 4).copied().unwrap_or(0);
        let before = self.sessions.known.len();
        self.sessions
            .known
            .retain(|_, known| known.at_ns > older || !known.held.is_empty());
        self.tally.sessions_forgotten += (before - self.sessions.known.len()) as u64;
        self.forget_owners();
    }

    fn forget_owners(&mut self) {
        let Sessions { known, owners, .. } = &mut self.sessions;
        owners.retain(|_, id| known.contains_key(id));
    }
}
