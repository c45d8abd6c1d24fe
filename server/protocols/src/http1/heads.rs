//! Heads as they come, in one piece or several, whole or cut.
//!
//! Owns: collecting a head, and what to make of bytes that are none. Refuses: to buffer anything but the beginning of a
//! head, up to its limit; what a head begins is in `messages`.

use super::connection::{Phase, Piece};
use super::fields::head_end;
use super::framing::{self, Announcement, Method};
use super::head::{self, Reading};
use super::lane::{Began, State};
use super::repeats::RequestFacts;
use super::{Connection, Direction, Gaps, MalformedElement, Observer, Outcome};
use crate::held::append;
use crate::repeats::Spot;

/// While a head was shorter than this, the next piece is checked for not being one. Later the check costs too much for what it
/// saves; a head that is none is then found at its end, or at the limit.
const CHECKED_BYTES: usize = 256;

/// Memory for a head that came in pieces is kept for the next one up to this size.
const KEPT_BYTES: usize = 4096;

enum Came {
    Whole(usize),
    Partial,
    Malformed(MalformedElement),
}

impl<O: Observer> Connection<O> {
    /// Takes some of `data` where a head is due, and says how much.
    pub(super) fn head(&mut self, piece: Piece, data: &[u8], observer: &mut O) -> usize {
        let Piece { direction, began } = piece;
        if !self.lane(direction).partial.is_empty() {
            return self.head_goes_on(direction, data, observer);
        }
        // RFC 9112, 2.2: empty lines before a request line are ignored.
        let empty = data
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        if empty > 0 {
            return empty;
        }
        let window = data.get(..self.limits.max_head_bytes).unwrap_or(data);
        match self.whole_head(direction, began, window, observer) {
            Came::Whole(length) => length,
            Came::Partial if window.len() == self.limits.max_head_bytes => {
                self.cut_head(direction, began, window, Some(Gaps::default()), observer);
                window.len()
            }
            Came::Partial if head::is_hopeless(direction, data) => {
                self.malformed_head(direction, start_line_of(direction), began.at_ns, observer);
                data.len()
            }
            Came::Partial => {
                let lane = self.lane(direction);
                append(&mut lane.partial, data);
                lane.searched = 0;
                lane.began = began;
                data.len()
            }
            Came::Malformed(element) => {
                self.malformed_head(direction, element, began.at_ns, observer);
                data.len()
            }
        }
    }

    /// No more is held of heads whose end did not come: they are shown as far as they came, and count as cut.
    pub fn cut_heads(&mut self, observer: &mut O) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            let lane = self.lane(direction);
            let (began, partial) = (lane.began, std::mem::take(&mut lane.partial));
            if !partial.is_empty() {
                self.cut_head(direction, began, &partial, Some(Gaps::default()), observer);
            }
        }
    }

    fn head_goes_on(&mut self, direction: Direction, data: &[u8], observer: &mut O) -> usize {
        let max = self.limits.max_head_bytes;
        let lane = self.lane(direction);
        let (began, searched, at_ns) = (lane.began, lane.searched, lane.last_ns);
        let mut partial = std::mem::take(&mut lane.partial);
        let before = partial.len();
        let added = data.get(..max.saturating_sub(before)).unwrap_or(data);
        append(&mut partial, added);
        let used = match head_end(&partial, searched) {
            Some(end) => match self.whole_head(
                direction,
                began,
                partial.get(..end).unwrap_or_default(),
                observer,
            ) {
                Came::Whole(length) => length.saturating_sub(before),
                Came::Partial | Came::Malformed(_) => {
                    self.malformed_head(direction, start_line_of(direction), at_ns, observer);
                    data.len()
                }
            },
            None if partial.len() >= max => {
                self.cut_head(direction, began, &partial, Some(Gaps::default()), observer);
                added.len()
            }
            None if before <= CHECKED_BYTES && head::is_hopeless(direction, &partial) => {
                let simple = match direction {
                    Direction::ToServer => self.simple_request(began, &partial, observer),
                    Direction::ToClient => None,
                };
                if let Some(length) = simple {
                    length.saturating_sub(before)
                } else {
                    self.malformed_head(direction, start_line_of(direction), at_ns, observer);
                    data.len()
                }
            }
            None => {
                let lane = self.lane(direction);
                // The empty line may have begun in the last two bytes.
                lane.searched = partial.len().saturating_sub(2);
                lane.partial = partial;
                return data.len();
            }
        };
        if partial.capacity() <= KEPT_BYTES && self.phase == Phase::Open {
            partial.clear();
            self.lane(direction).partial = partial;
        }
        used
    }

    fn whole_head(
        &mut self,
        direction: Direction,
        began: Began,
        bytes: &[u8],
        observer: &mut O,
    ) -> Came {
        let spot = observer.repeats().and_then(|repeats| repeats.spot(bytes));
        if let Some(spot) = spot
            && self.repeated_head(direction, began, spot, observer)
        {
            return Came::Whole(spot.head.len());
        }
        let mut room = head::room();
        let (length, flaw) = match direction {
            Direction::ToServer => match head::request(bytes, &mut room) {
                Reading::Whole { head, length, flaw } => {
                    let facts = facts(&head);
                    let spot = spot.filter(|spot| spot.head.len() == length && flaw.is_none());
                    let gaps = Gaps::default();
                    self.begin_request(began, facts, length, gaps, observer, |observer| {
                        let value = observer.request(&head);
                        if let Some(spot) = spot
                            && observer.request_may_repeat(&value)
                            && let Some(repeats) = observer.repeats()
                        {
                            repeats.keep_request(spot, &value, facts);
                        }
                        value
                    });
                    (length, flaw)
                }
                Reading::Partial => return Came::Partial,
                Reading::Malformed(element) => {
                    let simple = self.simple_request(began, bytes, observer);
                    return simple.map_or(Came::Malformed(element), Came::Whole);
                }
            },
            Direction::ToClient => match head::response(bytes, &mut room) {
                Reading::Whole { head, length, flaw } => {
                    let announcement = Announcement::of(&head);
                    let spot = spot.filter(|spot| spot.head.len() == length && flaw.is_none());
                    let gaps = Gaps::default();
                    self.begin_response(began, announcement, length, gaps, observer, |observer| {
                        let value = observer.response(&head);
                        if let Some(spot) = spot
                            && observer.response_may_repeat(&value)
                            && let Some(repeats) = observer.repeats()
                        {
                            repeats.keep_response(spot, &value, announcement);
                        }
                        value
                    });
                    (length, flaw)
                }
                Reading::Partial => return Came::Partial,
                Reading::Malformed(element) => return Came::Malformed(element),
            },
        };
        if let Some(element) = flaw {
            observer.malformed(direction, element);
        }
        Came::Whole(length)
    }

    /// Takes a request of HTTP/0.9, and says its length. Only where other heads have shown that this is HTTP: such a line alone
    /// may be another protocol's.
    fn simple_request(&mut self, began: Began, bytes: &[u8], observer: &mut O) -> Option<usize> {
        if !self.head_seen() {
            return None;
        }
        let (head, length) = head::simple_request(bytes)?;
        if length > CHECKED_BYTES {
            return None;
        }
        let facts = facts(&head);
        self.begin_request(
            began,
            facts,
            length,
            Gaps::default(),
            observer,
            |observer| observer.request(&head),
        );
        Some(length)
    }

    /// Takes a head that was seen before. Says whether it was.
    fn repeated_head(
        &mut self,
        direction: Direction,
        began: Began,
        spot: Spot<'_>,
        observer: &mut O,
    ) -> bool {
        let Some(repeats) = observer.repeats() else {
            return false;
        };
        let (length, gaps) = (spot.head.len(), Gaps::default());
        match direction {
            Direction::ToServer => {
                let Some((value, facts)) = repeats.request(spot) else {
                    return false;
                };
                self.begin_request(began, facts, length, gaps, observer, |observer| {
                    observer.request_repeats(&value);
                    value
                });
            }
            Direction::ToClient => {
                let Some((value, announcement)) = repeats.response(spot) else {
                    return false;
                };
                self.begin_response(began, announcement, length, gaps, observer, |_| value);
            }
        }
        true
    }

    /// Shows what there is of a head of which no more will be seen. `unseen` are the gaps that this makes besides the cut
    /// itself; `None` when nothing was there to be seen, because the stream ended.
    pub(super) fn cut_head(
        &mut self,
        direction: Direction,
        began: Began,
        bytes: &[u8],
        unseen: Option<Gaps>,
        observer: &mut O,
    ) {
        let gaps = |cut: Gaps| unseen.map_or(Gaps::default(), |gaps| gaps.with(cut));
        let shown = match direction {
            Direction::ToServer => head::cut_request(bytes).map(|head| {
                self.begin_request(
                    began,
                    facts(&head),
                    bytes.len(),
                    gaps(Gaps::REQUEST_HEAD_CUT),
                    observer,
                    |observer| observer.request(&head),
                );
            }),
            Direction::ToClient => head::cut_response(bytes).map(|head| {
                self.begin_response(
                    began,
                    Announcement::of(&head),
                    bytes.len(),
                    gaps(Gaps::RESPONSE_HEAD_CUT),
                    observer,
                    |observer| observer.response(&head),
                );
            }),
        };
        if shown.is_some() {
            return;
        }
        match unseen {
            // Too little of it came to say anything: as if none of it had.
            Some(unseen) if head_may_begin(direction, bytes) => {
                self.lane(direction).state = State::NOWHERE;
                self.lose_place(direction, unseen);
            }
            None if head_may_begin(direction, bytes) => {}
            _ => self.malformed_head(direction, start_line_of(direction), began.at_ns, observer),
        }
    }

    /// Bytes that are no head where one was due.
    pub(super) fn malformed_head(
        &mut self,
        direction: Direction,
        element: MalformedElement,
        at_ns: u64,
        observer: &mut O,
    ) {
        self.lane(direction).state = State::NOWHERE;
        if !self.head_seen() {
            match direction {
                _ if self.joined_midstream => {}
                Direction::ToServer => self.first_request_malformed = true,
                Direction::ToClient => self.leave(Phase::NotHttp),
            }
            return;
        }
        observer.malformed(direction, element);
        match direction {
            Direction::ToServer if self.exchanges.has_room(self.limits.max_pipelined) => {
                self.exchanges.begin_malformed();
            }
            Direction::ToServer => {}
            Direction::ToClient => {
                if let Some(ordinal) = self.exchanges.awaiting().map(|exchange| exchange.ordinal) {
                    self.exchanges
                        .finish(ordinal, Outcome::Malformed, at_ns, observer);
                }
                self.lose_place(direction, Gaps::default());
            }
        }
    }
}

fn facts(head: &head::RequestHead<'_>) -> RequestFacts {
    RequestFacts {
        method: Method::of(head.method),
        framing: framing::of_request(head),
    }
}

fn head_may_begin(direction: Direction, bytes: &[u8]) -> bool {
    super::start_line::may_begin(direction, bytes) && !bytes.contains(&b'\n')
}

fn start_line_of(direction: Direction) -> MalformedElement {
    match direction {
        Direction::ToServer => MalformedElement::RequestLine,
        Direction::ToClient => MalformedElement::StatusLine,
    }
}
