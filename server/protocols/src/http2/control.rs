//! Frames about the connection and about the end of streams.

use super::facts::{GoAway, StreamError};
use super::frame::{FrameHeader, flag, kind};
use super::streams::place;
use super::window::{self, Window};
use super::{Connection, Observer};
use crate::exchange::Outcome;
use crate::passive::{Direction, Verdict};

impl<O: Observer> Connection<O> {
    /// `payload` is the beginning of it when it is `broken`.
    pub(super) fn control(
        &mut self,
        direction: Direction,
        frame: FrameHeader,
        payload: &[u8],
        broken: bool,
        at_ns: u64,
        observer: &mut O,
    ) {
        let facts = &mut self.lane(direction).facts;
        match frame.kind {
            kind::RST_STREAM => {
                facts.resets = facts.resets.saturating_add(1);
                let code = number(payload, 0);
                self.reset(direction, frame.stream, code, at_ns, observer);
            }
            kind::SETTINGS if frame.has(flag::ACK) => self.acknowledged(direction),
            kind::SETTINGS => {
                facts.settings_frames = facts.settings_frames.saturating_add(1);
                if self.verdict == Verdict::Unknown && self.roles_known {
                    self.verdict = Verdict::Yes;
                }
                self.settings(direction, payload, at_ns);
                if broken {
                    self.lose_permissions(direction.opposite());
                }
            }
            kind::PING if !frame.has(flag::ACK) => facts.pings = facts.pings.saturating_add(1),
            kind::GOAWAY => self.goaway(direction, payload, at_ns, observer),
            kind::WINDOW_UPDATE if broken => self.lose_permissions(direction.opposite()),
            kind::WINDOW_UPDATE => self.window_update(direction, frame.stream, payload, at_ns),
            kind::PRIORITY_UPDATE => {
                facts.priority_updates = facts.priority_updates.saturating_add(1);
            }
            _ => {}
        }
    }

    /// `code` is `None` when it was not seen.
    fn reset(
        &mut self,
        direction: Direction,
        stream_id: u32,
        code: Option<u32>,
        at_ns: u64,
        observer: &mut O,
    ) {
        let by = self.meant(direction);
        let unseen = self.lane(direction).unseen;
        let Some(stream) = self.streams.get(stream_id) else {
            return;
        };
        stream.gaps.add(unseen);
        stream.facts.error = code.map(|code| StreamError {
            code,
            by,
            by_goaway: false,
        });
        // A client that has all that it was promised may not wait for an end in a frame of its own.
        let response = stream.response.as_ref();
        let has_all = stream.request_ended
            && response.is_some_and(|response| response.last_byte_ns.is_some());
        let outcome = match by {
            Direction::ToServer if has_all => Outcome::Complete,
            Direction::ToServer => Outcome::ClientGaveUp,
            Direction::ToClient => Outcome::ServerReset,
        };
        self.finish(stream_id, outcome, at_ns, observer);
    }

    fn settings(&mut self, direction: Direction, payload: &[u8], at_ns: u64) {
        let mut table_size = None;
        let (pairs, _) = payload.as_chunks::<6>();
        for [i0, i1, value @ ..] in pairs {
            let value = u32::from_be_bytes(*value);
            let settings = &mut self.lane(direction).facts.settings;
            match u16::from_be_bytes([*i0, *i1]) {
                1 => {
                    settings.header_table_size = Some(value);
                    table_size = Some(value);
                }
                2 => settings.enable_push = Some(value),
                3 => settings.max_concurrent_streams = Some(value),
                4 => self.initial_window(direction, value, at_ns),
                5 => settings.max_frame_size = Some(value),
                6 => settings.max_header_list_size = Some(value),
                _ => {}
            }
        }
        let encoder = self.lane(direction.opposite());
        if !encoder.table_sizes.set(table_size) {
            encoder.lose_table_size();
        }
    }

    /// What the peer has set holds from here on.
    fn acknowledged(&mut self, direction: Direction) {
        let lane = self.lane(direction);
        if let Some(size) = lane.table_sizes.acknowledged() {
            lane.hpack.set_max_table_size(size);
        }
    }

    /// Moves the windows of the streams that the peer sends on (RFC 9113, 6.9.2).
    fn initial_window(&mut self, direction: Direction, size: u32, at_ns: u64) {
        let peer = direction.opposite();
        let at = place(self.meant(peer));
        let settings = &mut self.lane(direction).facts.settings;
        let before = settings
            .initial_window_size
            .replace(size)
            .unwrap_or(window::INITIAL);
        let change = i64::from(size) - i64::from(before);
        self.lane(peer).stream_window = Window::new(size);
        for stream in self.streams.iter_mut() {
            if let Some(window) = stream.windows.get_mut(at) {
                window.give(change, at_ns);
            }
        }
    }

    /// `direction`'s sender may have been let send more, or told other sizes, without our seeing it.
    pub(super) fn lose_permissions(&mut self, direction: Direction) {
        let at = place(self.meant(direction));
        self.lane(direction).lose_permissions();
        for stream in self.streams.iter_mut() {
            if let Some(window) = stream.windows.get_mut(at) {
                *window = Window::UNKNOWN;
            }
        }
    }

    fn goaway(&mut self, direction: Direction, payload: &[u8], at_ns: u64, observer: &mut O) {
        let (Some(last), Some(code)) = (number(payload, 0), number(payload, 4)) else {
            return;
        };
        let last_stream_id = last & 0x7fff_ffff;
        let facts = &mut self.lane(direction).facts;
        facts.goaway_frames = facts.goaway_frames.saturating_add(1);
        facts.goaway = Some(GoAway {
            at_ns,
            code,
            last_stream_id,
        });
        if self.meant(direction) == Direction::ToServer {
            return;
        }
        let begun: Vec<u32> = self.streams.ids().collect();
        for stream_id in begun {
            self.refuse(stream_id, at_ns, observer);
        }
    }

    /// Ends a stream that the server has said it does not process (RFC 9113, 6.8): one that the client began beyond the
    /// last that it does.
    pub(super) fn refuse(&mut self, stream_id: u32, at_ns: u64, observer: &mut O) {
        let Some(goaway) = self.lane_of(Direction::ToClient).facts.goaway else {
            return;
        };
        if stream_id <= goaway.last_stream_id || stream_id.is_multiple_of(2) {
            return;
        }
        if let Some(stream) = self.streams.get(stream_id) {
            stream.facts.error = Some(StreamError {
                code: goaway.code,
                by: Direction::ToClient,
                by_goaway: true,
            });
        }
        self.finish(stream_id, Outcome::ServerReset, at_ns, observer);
    }

    fn window_update(&mut self, direction: Direction, stream_id: u32, payload: &[u8], at_ns: u64) {
        let Some(increment) = number(payload, 0) else {
            return;
        };
        let increment = i64::from(increment & 0x7fff_ffff);
        let peer = direction.opposite();
        if stream_id == 0 {
            return self.lane(peer).window.give(increment, at_ns);
        }
        let at = place(self.meant(peer));
        if let Some(stream) = self.streams.get(stream_id)
            && let Some(window) = stream.windows.get_mut(at)
        {
            window.give(increment, at_ns);
        }
    }
}

fn number(payload: &[u8], at: usize) -> Option<u32> {
    payload
        .get(at..)?
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
}
