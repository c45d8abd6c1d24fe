//! DATA: its bytes are counted, its messages of gRPC too, and the time that a sender waited for a window.

use super::frame::{FrameHeader, flag};
use super::streams::place;
use super::{Connection, Observer};
use crate::passive::Direction;

impl<O: Observer> Connection<O> {
    /// DATA that is not empty begins. Empty frames need no window (RFC 9113, 6.9.1).
    pub(super) fn begin_data(&mut self, direction: Direction, frame: FrameHeader, at_ns: u64) {
        let at = place(self.meant(direction));
        let opened_ns = self.lane(direction).window.opened_ns;
        let Some(stream) = self.streams.get(frame.stream) else {
            return;
        };
        let (Some(shut), Some(window)) = (stream.shut_ns.get_mut(at), stream.windows.get(at))
        else {
            return;
        };
        // There was more to send: the time without a window was time lost.
        if let Some(shut_ns) = shut.take() {
            let opened_ns = opened_ns.max(window.opened_ns);
            let until_ns = opened_ns.clamp(shut_ns, at_ns.max(shut_ns));
            stream.facts.stalls = stream.facts.stalls.saturating_add(1);
            stream.facts.stalled_ns = stream.facts.stalled_ns.saturating_add(until_ns - shut_ns);
        }
    }

    /// Some of it passes; `bytes` are `None` when they are not here.
    pub(super) fn pass_data(
        &mut self,
        direction: Direction,
        frame: FrameHeader,
        length: u64,
        bytes: Option<&[u8]>,
    ) {
        let meant = self.meant(direction);
        self.lane(direction).window.take(length);
        let Some(stream) = self.streams.get(frame.stream) else {
            return;
        };
        if let Some(window) = stream.windows.get_mut(place(meant)) {
            window.take(length);
        }
        let body = match meant {
            // Behind its end comes nothing that counts.
            Direction::ToServer if stream.request_ended => return,
            Direction::ToServer => stream.request.as_mut().map(|part| &mut part.body_bytes),
            Direction::ToClient => {
                stream.may_have_ended = false;
                if frame.has(flag::PADDED) {
                    stream.response_length = None;
                }
                stream.response.as_mut().map(|part| &mut part.body_bytes)
            }
        };
        if let Some(body) = body {
            *body = body.saturating_add(length);
        }
        if let Some(messages) = stream.messages(meant) {
            match bytes {
                Some(bytes) if !frame.has(flag::PADDED) => messages.bytes(bytes),
                Some(_) | None => messages.skipped(length),
            }
        }
    }

    /// All of it has passed.
    pub(super) fn end_data(
        &mut self,
        direction: Direction,
        frame: FrameHeader,
        at_ns: u64,
        observer: &mut O,
    ) {
        let meant = self.meant(direction);
        if frame.has(flag::END_STREAM) {
            return self.end_message(meant, frame.stream, at_ns, observer);
        }
        if meant == Direction::ToClient
            && let Some(stream) = self.streams.get(frame.stream)
            && let Some(response) = &mut stream.response
            && response.body_bytes > 0
            && Some(response.body_bytes) == stream.response_length
        {
            // Whether an end in a frame of its own comes or not.
            response.last_byte_ns.get_or_insert(at_ns);
        }
        let is_shut = self.lane(direction).window.is_shut();
        if let Some(stream) = self.streams.get(frame.stream)
            && let Some(window) = stream.windows.get(place(meant))
            && (is_shut || window.is_shut())
            && let Some(shut_ns) = stream.shut_ns.get_mut(place(meant))
        {
            *shut_ns = shut_ns.or(Some(at_ns));
        }
    }
}
