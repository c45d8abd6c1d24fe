//! Frames as they pass: what is held of them, and who looks at them when they are whole.

use super::frame::{FrameHeader, flag, kind};
use super::lane::State;
use super::losses::gap;
use super::{Connection, MalformedElement, Observer};
use crate::held::append;
use crate::passive::{Direction, Skip};

impl<O: Observer> Connection<O> {
    /// A frame's header is there. Takes what there is of its payload when that is all, and says how much.
    pub(super) fn begin_frame(
        &mut self,
        direction: Direction,
        frame: FrameHeader,
        at_ns: u64,
        rest: &[u8],
        observer: &mut O,
    ) -> usize {
        let lane = self.lane(direction);
        if !lane.sure && !frame.may_follow() {
            // What was taken for frames was none.
            let missing = lane.missing;
            self.give_up_block(direction, at_ns, observer);
            self.lose_frames(direction, missing);
            return 0;
        }
        self.check(direction, frame, observer);
        let lane = self.lane(direction);
        if let Some(block) = &lane.block
            && (frame.kind != kind::CONTINUATION || frame.stream != block.stream)
        {
            // RFC 9113, 4.3: its end was not seen, or will not come.
            observer.malformed(self.meant(direction), MalformedElement::HeaderBlock);
            self.give_up_block(direction, at_ns, observer);
        }
        let length = usize::try_from(frame.length).unwrap_or(usize::MAX);
        let most = self.limits.max_block_bytes;
        let lane = self.lane(direction);
        lane.held.clear();
        lane.unseen = crate::exchange::Gaps::default();
        if let Some(payload) = rest.get(..length)
            && frame.kind != kind::DATA
            && length <= most
        {
            lane.state = State::Header(0);
            self.whole_frame(direction, frame, payload, false, at_ns, observer);
            return length;
        }
        lane.state = State::Payload {
            frame,
            left: frame.length,
            broken: false,
        };
        if length == 0 {
            self.end_frame(direction, at_ns, observer);
        } else if frame.kind == kind::DATA {
            self.begin_data(direction, frame, at_ns);
        }
        0
    }

    /// Counts what is not as it should be. Where its end is, is known all the same.
    fn check(&mut self, direction: Direction, frame: FrameHeader, observer: &mut O) {
        let meant = self.meant(direction);
        let lane = self.lane(direction);
        let is_first = !std::mem::replace(&mut lane.framed, true) && !lane.may_lack();
        if is_first && (frame.kind != kind::SETTINGS || frame.has(flag::ACK)) {
            // RFC 9113, 3.4: of both ends.
            observer.malformed(meant, MalformedElement::Preface);
        }
        if !frame.is_legal() {
            observer.malformed(meant, MalformedElement::FrameHeader);
        }
    }

    /// Some of a frame's payload passes.
    pub(super) fn pass(&mut self, direction: Direction, frame: FrameHeader, bytes: &[u8]) {
        if frame.kind == kind::DATA {
            return self.pass_data(direction, frame, bytes.len() as u64, Some(bytes));
        }
        let most = self.limits.max_block_bytes;
        let lane = self.lane(direction);
        let State::Payload { broken, .. } = &mut lane.state else {
            return;
        };
        if *broken || !frame.is_read() {
            return;
        }
        let before = lane.block.as_ref().map_or(0, |block| block.bytes.len());
        let room = most.saturating_sub(before + lane.held.len());
        let here = bytes.get(..room).unwrap_or(bytes);
        append(&mut lane.held, here);
        *broken = here.len() < bytes.len();
    }

    /// Some of a frame's payload passes unseen.
    pub(super) fn pass_unseen(
        &mut self,
        direction: Direction,
        frame: FrameHeader,
        length: u64,
        why: Skip,
    ) {
        if frame.kind == kind::DATA {
            self.pass_data(direction, frame, length, None);
        }
        // What the probes leave out of a frame, they do on purpose.
        if why == Skip::NotCopied {
            return;
        }
        self.lane(direction).unseen.add(gap(why));
        if let Some(stream) = self.streams.get(frame.stream) {
            stream.gaps.add(gap(why));
        }
    }

    /// All of a frame has passed.
    pub(super) fn end_frame(&mut self, direction: Direction, at_ns: u64, observer: &mut O) {
        let lane = self.lane(direction);
        let State::Payload { frame, broken, .. } = lane.state else {
            return;
        };
        lane.state = State::Header(0);
        if frame.kind == kind::DATA {
            return self.end_data(direction, frame, at_ns, observer);
        }
        let mut held = std::mem::take(&mut lane.held);
        self.whole_frame(direction, frame, &held, broken, at_ns, observer);
        held.clear();
        held.shrink_to(KEPT);
        self.lane(direction).held = held;
    }

    /// `payload` is only the beginning of it when the frame is `broken`.
    fn whole_frame(
        &mut self,
        direction: Direction,
        frame: FrameHeader,
        payload: &[u8],
        broken: bool,
        at_ns: u64,
        observer: &mut O,
    ) {
        if !frame.is_legal() {
            if frame.holds_fields() {
                self.lane(direction).lose_block();
            }
            return;
        }
        match frame.kind {
            kind::HEADERS => self.headers(direction, frame, payload, broken, at_ns, observer),
            kind::PUSH_PROMISE => {
                self.push_promise(direction, frame, payload, broken, at_ns, observer);
            }
            kind::CONTINUATION => {
                self.continuation(direction, frame, payload, broken, at_ns, observer);
            }
            _ => self.control(direction, frame, payload, broken, at_ns, observer),
        }
    }
}

/// Room that a direction keeps for the frames to come.
const KEPT: usize = 512;
