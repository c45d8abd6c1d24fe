//! Header blocks: put together of HEADERS or PUSH_PROMISE and CONTINUATION (RFC 9113, 4.3), and read.
//!
//! Owns: the block in the making. Of one that is cut, the fields before the cut are read, for the first ones tell most;
//! the table of HPACK is joined anew behind it.

use super::fields::Traits;
use super::frame::{FrameHeader, flag};
use super::lane::{Began, Block};
use super::repeats::{Keep, Known};
use super::{Connection, Fields, MalformedElement, Observer};
use crate::exchange::Gaps;
use crate::held::append;
use crate::passive::Direction;

/// What is known of a block besides its fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub(super) stream: u32,
    pub(super) promised: Option<u32>,
    pub(super) end_stream: bool,
    pub(super) began: Began,
    pub(super) at_ns: u64,
    pub(super) bytes: u64,
    /// Fields are missing from it.
    pub(super) cut: bool,
    /// Why some of it was not seen.
    pub(super) gaps: Gaps,
}

impl<O: Observer> Connection<O> {
    /// HEADERS (RFC 9113, 6.2). `payload` is its beginning when the frame is `broken`; so below.
    pub(super) fn headers(
        &mut self,
        direction: Direction,
        frame: FrameHeader,
        payload: &[u8],
        broken: bool,
        at_ns: u64,
        observer: &mut O,
    ) {
        let Some(unpadded) = unpadded(frame, payload) else {
            return self.bad_block(direction, MalformedElement::Padding, observer);
        };
        // Exclusive, dependency and weight.
        let priority_bytes = if frame.has(flag::PRIORITY) { 5 } else { 0 };
        let fragment = match unpadded.get(priority_bytes..) {
            Some(fragment) => fragment,
            None if broken => &[],
            None => return self.bad_block(direction, MalformedElement::FrameHeader, observer),
        };
        self.fragment(direction, frame, None, fragment, broken, at_ns, observer);
    }

    /// PUSH_PROMISE (RFC 9113, 6.6).
    pub(super) fn push_promise(
        &mut self,
        direction: Direction,
        frame: FrameHeader,
        payload: &[u8],
        broken: bool,
        at_ns: u64,
        observer: &mut O,
    ) {
        let lane = self.lane(direction);
        lane.facts.push_promises = lane.facts.push_promises.saturating_add(1);
        let Some(unpadded) = unpadded(frame, payload) else {
            return self.bad_block(direction, MalformedElement::Padding, observer);
        };
        let (promised, fragment) = match unpadded.split_first_chunk::<4>() {
            Some((promised, fragment)) => (u32::from_be_bytes(*promised), fragment),
            None if broken => return self.lane(direction).lose_block(),
            None => return self.bad_block(direction, MalformedElement::FrameHeader, observer),
        };
        let promised = Some(promised & 0x7fff_ffff);
        self.fragment(
            direction, frame, promised, fragment, broken, at_ns, observer,
        );
    }

    /// CONTINUATION (RFC 9113, 6.10) of the block in the making, if there is one: any other frame has ended it.
    pub(super) fn continuation(
        &mut self,
        direction: Direction,
        frame: FrameHeader,
        payload: &[u8],
        broken: bool,
        at_ns: u64,
        observer: &mut O,
    ) {
        let most = self.limits.max_block_bytes;
        let meant = self.meant(direction);
        let lane = self.lane(direction);
        if lane.block.is_none() {
            if !lane.may_lack() {
                observer.malformed(meant, MalformedElement::HeaderBlock);
            }
            // Its beginning was not seen, or was not one.
            lane.lose_block();
        }
        let unseen = lane.unseen;
        let block = lane.block.get_or_insert_with(|| Block {
            stream: frame.stream,
            promised: None,
            end_stream: false,
            began: Began::default(),
            bytes: Vec::new(),
            broken: true,
            gaps: Gaps::default(),
            is_headless: true,
        });
        block.gaps.add(unseen);
        if !block.broken {
            let room = most.saturating_sub(block.bytes.len());
            let here = payload.get(..room).unwrap_or(payload);
            append(&mut block.bytes, here);
            block.broken = broken || here.len() < payload.len();
        }
        if frame.has(flag::END_HEADERS)
            && let Some(block) = lane.block.take()
        {
            self.end_block(direction, &block, at_ns, observer);
        }
    }

    /// What there is of the block in the making is all that there will be.
    pub(super) fn give_up_block(&mut self, direction: Direction, at_ns: u64, observer: &mut O) {
        if let Some(mut block) = self.lane(direction).block.take() {
            block.broken = true;
            self.end_block(direction, &block, at_ns, observer);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that is known of a fragment, each of another type"
    )]
    fn fragment(
        &mut self,
        direction: Direction,
        frame: FrameHeader,
        promised: Option<u32>,
        fragment: &[u8],
        broken: bool,
        at_ns: u64,
        observer: &mut O,
    ) {
        let lane = self.lane(direction);
        let end_stream = promised.is_none() && frame.has(flag::END_STREAM);
        if !frame.has(flag::END_HEADERS) {
            lane.block = Some(Block {
                stream: frame.stream,
                promised,
                end_stream,
                began: lane.began,
                bytes: fragment.to_vec(),
                broken,
                gaps: lane.unseen,
                is_headless: false,
            });
            return;
        }
        let about = About {
            stream: frame.stream,
            promised,
            end_stream,
            began: lane.began,
            at_ns,
            bytes: fragment.len() as u64,
            cut: broken,
            gaps: lane.unseen,
        };
        self.read(direction, about, fragment, observer);
    }

    fn end_block(&mut self, direction: Direction, block: &Block, at_ns: u64, observer: &mut O) {
        if block.is_headless {
            return;
        }
        let about = About {
            stream: block.stream,
            promised: block.promised,
            end_stream: block.end_stream,
            began: block.began,
            at_ns,
            bytes: block.bytes.len() as u64,
            cut: block.broken,
            gaps: block.gaps,
        };
        self.read(direction, about, &block.bytes, observer);
    }

    fn bad_block(&mut self, direction: Direction, element: MalformedElement, observer: &mut O) {
        observer.malformed(self.meant(direction), element);
        self.lane(direction).lose_block();
    }

    /// Reads a block and gives it to its stream.
    fn read(&mut self, direction: Direction, mut about: About, block: &[u8], observer: &mut O) {
        if !about.cut && self.read_before(direction, about, block, observer) {
            return;
        }
        let mut room = std::mem::take(observer.room());
        room.clear();
        let was_cut = about.cut;
        let lane = self.lane(direction);
        let end = lane.hpack.decode(block, |field| room.push(&field));
        let mut keep = None;
        if let (Ok(summary), false) = (end, was_cut) {
            about.cut = summary.left_out_fields > 0;
            let left_out = u32::try_from(summary.left_out_fields).unwrap_or(u32::MAX);
            lane.facts.fields_left_out = lane.facts.fields_left_out.saturating_add(left_out);
            if !about.cut
                && let Some(repeats) = observer.repeats()
            {
                keep = repeats.may_keep(&mut lane.hpack, block, summary);
            }
        } else {
            about.cut = true;
            lane.lose_block();
        }
        if end.is_err() && !was_cut {
            observer.malformed(self.meant(direction), MalformedElement::HeaderBlock);
        }
        let fields = room.fields();
        let head = Head::New(fields, keep);
        self.head(direction, about, Traits::of(fields), head, observer);
        *observer.room() = room;
    }

    /// Gives to its stream what was made of the same block before. Says whether that was done: not where the block is no head
    /// this time.
    fn read_before(
        &mut self,
        direction: Direction,
        about: About,
        block: &[u8],
        observer: &mut O,
    ) -> bool {
        if !self.roles_known || about.promised.is_some() {
            return false;
        }
        let meant = self.meant(direction);
        let Some(repeats) = observer.repeats() else {
            return false;
        };
        let Some(seen) = repeats.get(&self.lane(direction).hpack, block) else {
            return false;
        };
        let stream = self.streams.get(about.stream);
        let is_head = match seen.known {
            Known::Request(_) if meant == Direction::ToServer => {
                stream.is_none_or(|stream| stream.request.is_none())
            }
            Known::Response(_) if meant == Direction::ToClient => {
                stream.is_none_or(|stream| stream.response.is_none())
            }
            Known::Request(_) | Known::Response(_) => false,
        };
        if !is_head {
            return false;
        }
        seen.pass(&mut self.lane(direction).hpack);
        let (known, traits) = (seen.known.clone(), seen.traits);
        self.head(direction, about, traits, Head::Known(known), observer);
        true
    }
}

/// A block as it is given to its stream.
pub(super) enum Head<'a, Q, S> {
    /// Read for the first time, and whether to remember what becomes of it.
    New(Fields<'a>, Option<Keep<'a>>),
    /// A head that was made before.
    Known(Known<Q, S>),
}

/// The payload, or its beginning, without the padding (RFC 9113, 6.1); `None` when that is longer than the frame.
fn unpadded(frame: FrameHeader, payload: &[u8]) -> Option<&[u8]> {
    if !frame.has(flag::PADDED) {
        return Some(payload);
    }
    let Some((length, rest)) = payload.split_first() else {
        return (frame.length > 0).then_some(payload);
    };
    let kept = frame.length.checked_sub(1 + u32::from(*length))?;
    let kept = usize::try_from(kept).unwrap_or(usize::MAX);
    Some(rest.get(..kept).unwrap_or(rest))
}
