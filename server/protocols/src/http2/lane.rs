//! One direction: how far its frames are, and what its sender has said of itself.

use super::Limits;
use super::facts::Facts;
use super::frame::{FrameHeader, HEADER_BYTES};
use super::table_sizes::TableSizes;
use super::window::{self, Window};
use crate::exchange::Gaps;
use crate::hpack;

/// When something began, and the caller's tag of the piece that it began in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Began {
    pub(super) at_ns: u64,
    pub(super) tag: u64,
}

/// What is due next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The client's connection preface, so much of which was seen.
    Preface(usize),
    /// A frame's header, so much of which was seen.
    Header(usize),
    /// The payload of a frame.
    Payload {
        frame: FrameHeader,
        /// Bytes of it to come.
        left: u32,
        /// Some of it was not seen, or not held: what is held is its beginning.
        broken: bool,
    },
    /// Something; where the next frame begins is not known.
    Adrift,
}

/// A header block in the making.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    /// The stream that a PUSH_PROMISE promises.
    pub(super) promised: Option<u32>,
    pub(super) end_stream: bool,
    pub(super) began: Began,
    pub(super) bytes: Vec<u8>,
    /// Some of it was not seen, or it is over the limit: `bytes` is its beginning.
    pub(super) broken: bool,
    /// Why some of it was not seen.
    pub(super) gaps: Gaps,
    /// Nothing but CONTINUATION was seen of it: it was counted as lost, and will not be read.
    pub(super) is_headless: bool,
}

/// One direction.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, true or false by itself"
)]
pub(super) struct Lane {
    pub(super) state: State,
    pub(super) header: [u8; HEADER_BYTES],
    /// The beginning of the payload of the frame at hand, while it is not whole.
    pub(super) held: Vec<u8>,
    /// Why some of the frame at hand was not seen.
    pub(super) unseen: Gaps,
    /// Of the frame at hand.
    pub(super) began: Began,
    pub(super) block: Option<Block>,
    pub(super) hpack: hpack::Decoder,
    pub(super) table_sizes: TableSizes,
    pub(super) facts: Facts,
    /// How much its sender may send on the whole connection.
    pub(super) window: Window,
    /// Initial window of its sender's streams, as the peer has set it.
    pub(super) stream_window: Window,
    /// Its sender will send no more.
    pub(super) ended: bool,
    /// Why frames may have passed unseen; empty while every frame was seen.
    pub(super) missing: Gaps,
    /// Where frames begin is known for certain, not guessed from what they look like.
    pub(super) sure: bool,
    /// Something of it has passed.
    pub(super) touched: bool,
    /// A frame has passed.
    pub(super) framed: bool,
}

impl Lane {
    /// `state` is [`State::Adrift`] for a direction joined in the middle.
    pub(super) fn new(state: State, limits: Limits) -> Self {
        let joined_midstream = state == State::Adrift;
        let (window, missing) = if joined_midstream {
            (Window::UNKNOWN, Gaps::JOINED_MIDSTREAM)
        } else {
            (Window::new(window::INITIAL), Gaps::default())
        };
        let table = hpack::Limits {
            max_held_bytes: limits.max_table_bytes,
            ..hpack::Limits::default()
        };
        Self {
            state,
            header: [0; HEADER_BYTES],
            held: Vec::new(),
            unseen: Gaps::default(),
            began: Began::default(),
            block: None,
            hpack: hpack::Decoder::new(table, joined_midstream),
            table_sizes: TableSizes::new(joined_midstream),
            facts: Facts::default(),
            window,
            stream_window: window,
            ended: false,
            missing,
            sure: !joined_midstream,
            touched: false,
            framed: false,
        }
    }

    /// Bytes of memory in its buffers.
    pub(super) fn held_bytes(&self) -> usize {
        let block = self.block.as_ref();
        let block = block.map_or(0, |block| block.bytes.capacity());
        self.held.capacity() + block + self.hpack.held_bytes()
    }

    /// Whether frames may have passed unseen.
    pub(super) fn may_lack(&self) -> bool {
        self.missing != Gaps::default()
    }

    pub(super) fn is_adrift(&self) -> bool {
        self.state == State::Adrift
    }

    /// A header block passed that was not read, or more of them.
    pub(super) fn lose_block(&mut self) {
        self.block = None;
        self.facts.blocks_lost = self.facts.blocks_lost.saturating_add(1);
        self.hpack.lost();
    }

    /// What the peer has set, or that it was acknowledged, may have passed unseen.
    pub(super) fn lose_table_size(&mut self) {
        self.table_sizes.lose();
        self.hpack.set_max_table_size(u32::MAX);
    }

    /// Where frames begin is not known any more.
    pub(super) fn lose_frames(&mut self, gaps: Gaps) {
        self.lose_table_size();
        if !self.is_adrift() {
            self.lose_block();
        }
        self.held = Vec::new();
        self.state = State::Adrift;
        self.sure = false;
        self.missing.add(gaps);
        self.window = Window::UNKNOWN;
    }

    /// Frames of the peer may have passed unseen, and with them what they let this side send.
    pub(super) fn lose_permissions(&mut self) {
        self.lose_table_size();
        self.window = Window::UNKNOWN;
        self.stream_window = Window::UNKNOWN;
    }
}
