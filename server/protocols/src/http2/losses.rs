//! What passes unseen: where it stands, and what is not known any more afterwards.
//!
//! Owns: losing sight of frames and finding them again. A loss within a frame leaves that frame cut and nothing else; any
//! other may have hidden frames of all streams: heads, ends, what moves windows and what sizes tables.

use super::connection::Connection;
use super::lane::{Lane, State};
use super::streams::place;
use super::window::Window;
use super::{Observer, frame};
use crate::exchange::Gaps;
use crate::passive::{Direction, Skip};

impl<O: Observer> Connection<O> {
    /// A frame, or the preface, begins with the next bytes in this direction.
    pub fn frame(&mut self, direction: Direction) {
        if self.closed {
            return;
        }
        match self.lane(direction).state {
            State::Preface(0) | State::Header(0) | State::Adrift => {}
            // What was due instead is missing, and nobody said so.
            State::Preface(_) | State::Header(_) | State::Payload { .. } => {
                self.lose_frames(direction, Gaps::RECORDS_LOST);
            }
        }
        let lane = self.lane(direction);
        lane.sure = true;
        if lane.is_adrift() {
            lane.state = State::Header(0);
        }
    }

    /// `length` bytes passed that are not here.
    pub fn skipped(
        &mut self,
        direction: Direction,
        at_ns: u64,
        length: u64,
        why: Skip,
        observer: &mut O,
    ) {
        if self.closed || length == 0 {
            return;
        }
        let lane = self.lane(direction);
        lane.touched = true;
        let mut beyond = length;
        if let State::Payload { frame, left, .. } = lane.state {
            let here = u32::try_from(length).unwrap_or(u32::MAX).min(left);
            let left = left - here;
            lane.state = State::Payload {
                frame,
                left,
                broken: true,
            };
            self.pass_unseen(direction, frame, u64::from(here), why);
            if left == 0 {
                self.end_frame(direction, at_ns, observer);
            }
            beyond -= u64::from(here);
        }
        if beyond > 0 {
            self.give_up_block(direction, at_ns, observer);
            self.lose_frames(direction, gap(why));
        }
    }

    /// Where the frames of a direction begin is not known any more, and some may be missing.
    pub(super) fn lose_frames(&mut self, direction: Direction, gaps: Gaps) {
        self.lane(direction).lose_frames(gaps);
        self.lose_permissions(direction.opposite());
        self.miss_frames(direction, gaps);
    }

    /// Frames of any stream may have passed unseen.
    fn miss_frames(&mut self, direction: Direction, gaps: Gaps) {
        let meant = self.meant(direction);
        for stream in self.streams.iter_mut() {
            stream.gaps.add(gaps);
            stream.may_have_ended = true;
            if let Some(window) = stream.windows.get_mut(place(meant)) {
                *window = Window::UNKNOWN;
            }
            if let Some(messages) = stream.messages(meant) {
                messages.skipped(0);
            }
        }
    }

    /// Before the next bytes of a direction are walked: looks for the place of frames where it is not known.
    pub(super) fn find_frames(&mut self, direction: Direction, data: &[u8]) {
        let limits = self.limits;
        let is_peer_touched = self.lane(direction.opposite()).touched;
        let lane = self.lane(direction);
        let is_first = !lane.touched && !data.is_empty();
        lane.touched |= is_first;
        if is_first && lane.missing == Gaps::JOINED_MIDSTREAM && frame::begins_preface(data) {
            // Joined, it was said, but in time: of this direction nothing is missing.
            *lane = Lane::new(State::Preface(0), limits);
            lane.touched = true;
            if is_peer_touched {
                lane.lose_permissions();
            } else {
                *self.lane(direction.opposite()) = Lane::new(State::Header(0), limits);
            }
        } else if lane.is_adrift() && frame::may_begin(data) {
            lane.state = State::Header(0);
            lane.sure = false;
        } else if lane.is_adrift() {
            let missing = lane.missing;
            self.miss_frames(direction, missing);
        }
    }
}

/// What bytes that are not here leave, beyond a frame.
pub(super) fn gap(why: Skip) -> Gaps {
    match why {
        Skip::NotCopied => Gaps::BEHIND_BODY,
        Skip::RecordsLost => Gaps::RECORDS_LOST,
        Skip::CaptureHole => Gaps::CAPTURE_HOLE,
    }
}
