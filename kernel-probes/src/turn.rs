//! Copying by turns: when the direction of talk flips, the first bytes of the new turn are copied, up to the cap, and the
//! rest of the turn is only counted.
//!
//! A turn begins with the first payload whose acknowledgement number is later than that of the turn before: the peer has
//! talked, and been heard, in between. This needs one direction only, so that on the loopback device nothing at all is
//! done for ingress.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_socket_cookie, bpf_ktime_get_boot_ns},
    programs::SkBuffContext,
};
use headwater_schema::{
    flow::{DirectionState, counter, direction_flag, go_on},
    record::{Header, TurnRecord, VERSION, direction, kind, owned, place, tcp_flag},
};

use crate::{
    bytes::Bytes,
    counters::count,
    flow,
    frames::{self, Walk},
    idle, lifecycle, owner,
    packet::Packet,
    ring, session, settings, task, udp, websocket,
};

/// Bytes copied of a flow's first turn when it does not look like text: enough to name the protocol.
pub const GREETING: u32 = 64;

/// Looks at a packet with payload.
#[inline(always)]
pub fn payload(ctx: &SkBuffContext, packet: &Packet) {
    let Some(state) = flow::find_or_make(packet.cookie) else {
        return;
    };
    let inbound = packet.direction == direction::INGRESS;
    let (tgid, tid) = if inbound { (0, 0) } else { task::ids() };
    if !inbound && state.owner_tgid != tgid {
        owner::learn(ctx, packet, state, tgid, tid, task::lock(ctx));
    }
    let side = flow::side(state, packet.direction);
    if packet.marked {
        side.marked = side.marked.wrapping_add(1);
    }
    if packet.closed_window {
        side.zero_windows = side.zero_windows.wrapping_add(1);
    }
    if packet.flags & tcp_flag::ACK == 0 {
        side.flags |= direction_flag::UNANSWERED;
    } else if side.flags & direction_flag::UNANSWERED != 0 {
        side.flags &= !direction_flag::UNANSWERED;
        side.turn_ack = packet.ack.wrapping_sub(u32::from(idle::has_heard(ctx)));
    }
    let Some(step) = advance(
        side,
        packet.at_ns,
        packet.seq,
        packet.ack,
        packet.payload_length,
    ) else {
        return;
    };
    if side.flags & direction_flag::OPENED == 0 && lifecycle::opened(ctx, packet) {
        side.flags |= direction_flag::OPENED;
    }
    if session::may_be_here(side, &step) {
        let record = session::tls_record(ctx, packet.payload_at);
        // All that follows from this ends here: what comes behind is gone through once only by the verifier.
        if record != 0 {
            if session::is_known(side, packet, record, (tgid, tid)) {
                return;
            }
            if packet.flags & tcp_flag::FIN != 0 {
                side.flags |= direction_flag::ENDING;
            }
            side.payload_at = packet.payload_at;
            side.walk_ack = packet.ack;
            return ctx.hand_over(packet.direction, go_on::TLS);
        }
    }
    if packet.flags & tcp_flag::FIN != 0 {
        side.flags |= direction_flag::ENDING;
    }
    let lock = if inbound { owned::NO } else { task::lock(ctx) };
    let scene = Scene {
        kind: kind::TURN,
        at_ns: packet.at_ns,
        cookie: packet.cookie,
        tgid,
        tid,
        seq: packet.seq,
        ack: packet.ack,
        direction: packet.direction,
        owned: lock,
        is_dns_port: packet.source_port == 53 || packet.destination_port == 53,
        offset: step.offset,
        previous_ns: step.previous_ns,
        payload_at: packet.payload_at,
        payload_length: packet.payload_length,
    };
    tell(ctx, &scene, side, &step);
}

/// Tells what is to be told of a stretch of a stream.
#[inline(always)]
pub fn tell<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState, step: &Step) {
    let start = match frames::are_here(ctx, scene, side, step) {
        Walk::None { start } => start,
        Walk::Http2 => return frames::walk(ctx, scene, side),
        Walk::WebSocket => return websocket::walk(ctx, scene, side),
    };
    let window = window(ctx, scene, side, step, start);
    if window > 0 {
        let mut record = scene.record(side);
        record.place = if step.new_turn {
            place::NEW_TURN
        } else {
            place::SAME_TURN
        };
        record.previous_last_chunk = u8::from(step.previous_last_chunk);
        let is_told = emit(ctx, scene.payload_at, window, record);
        if !B::IS_CHEAP && is_told && window == scene.payload_length {
            // The reader sees for itself how that ends which it has whole.
            side.flags &= !direction_flag::LAST_CHUNK;
            return;
        }
    }
    note_tail(ctx, scene, side, step);
}

/// What the records of one stretch of a stream have in common.
pub struct Scene {
    /// `kind::TURN` or `kind::PLAINTEXT`.
    pub kind: u16,
    pub at_ns: u64,
    /// Of the socket; of plaintext the session's id.
    pub cookie: u64,
    pub tgid: u32,
    pub tid: u32,
    pub seq: u32,
    pub ack: u32,
    pub direction: u8,
    pub owned: u8,
    /// Whether one of its ports is that of DNS.
    pub is_dns_port: bool,
    /// Payload bytes before it.
    pub offset: u64,
    pub previous_ns: u64,
    pub payload_at: u32,
    pub payload_length: u32,
}

impl Scene {
    /// A record of the whole packet, counted in its direction.
    #[inline(always)]
    pub fn record(&self, side: &mut DirectionState) -> TurnRecord {
        let number = side.records;
        side.records = number.wrapping_add(1);
        TurnRecord {
            header: Header {
                kind: self.kind,
                version: VERSION,
                length: 0,
                at_ns: self.at_ns,
                cookie: self.cookie,
            },
            tgid: self.tgid,
            tid: self.tid,
            offset: self.offset,
            previous_ns: self.previous_ns,
            seq: self.seq,
            ack: self.ack,
            payload_length: self.payload_length,
            captured: 0,
            number,
            direction: self.direction,
            place: place::SAME_TURN,
            owned: self.owned,
            previous_last_chunk: 0,
        }
    }
}

impl Scene {
    /// A record of a part of the packet: of `length` bytes, from `at` on in its payload.
    #[inline(always)]
    pub fn part(&self, side: &mut DirectionState, at: u32, length: u32, place: u8) -> TurnRecord {
        let mut record = self.record(side);
        record.offset = self.offset.wrapping_add(u64::from(at));
        record.seq = self.seq.wrapping_add(at);
        record.payload_length = length;
        record.place = place;
        record
    }
}

/// The scene of a packet that another program has begun with, and its direction.
#[inline(always)]
pub fn scene_of(ctx: &SkBuffContext, way: u8) -> Option<(Scene, &'static mut DirectionState)> {
    // SAFETY: helpers without side effects on this context.
    let (at_ns, cookie) = unsafe { (bpf_ktime_get_boot_ns(), bpf_get_socket_cookie(ctx.as_ptr())) };
    let side = flow::side(flow::find(cookie)?, way);
    let (tgid, tid, owned) = if way == direction::INGRESS {
        (0, 0, owned::NO)
    } else {
        sender(ctx)
    };
    let payload_at = side.payload_at;
    let payload_length = ctx.len().saturating_sub(payload_at);
    let scene = Scene {
        kind: kind::TURN,
        at_ns,
        cookie,
        tgid,
        tid,
        seq: side.next_seq.wrapping_sub(payload_length),
        ack: side.walk_ack,
        direction: way,
        owned,
        is_dns_port: false,
        offset: side.bytes.wrapping_sub(u64::from(payload_length)),
        previous_ns: at_ns,
        payload_at,
        payload_length,
    };
    Some((scene, side))
}

#[inline(always)]
pub fn sender(ctx: &SkBuffContext) -> (u32, u32, u8) {
    let (tgid, tid) = task::ids();
    (tgid, tid, task::lock(ctx))
}

/// How a packet moved its direction on.
pub struct Step {
    /// Payload bytes before it.
    pub offset: u64,
    pub previous_ns: u64,
    /// How far it is ahead of the byte that comes next.
    pub ahead: i32,
    pub new_turn: bool,
    pub first: bool,
    previous_last_chunk: bool,
}

/// Moves the direction on by one packet; `None` for bytes seen before and outside the copy window.
#[inline(always)]
pub fn advance(
    side: &mut DirectionState,
    at_ns: u64,
    seq: u32,
    ack: u32,
    length: u32,
) -> Option<Step> {
    let first = side.flags & direction_flag::SEEN == 0;
    if first {
        side.flags |= direction_flag::SEEN;
        side.next_seq = seq;
        side.turn_ack = ack.wrapping_sub(1);
    }
    let ahead = seq.wrapping_sub(side.next_seq) as i32;
    let new_end = ahead.wrapping_add(length as i32);
    // Two's complement makes this right for packets behind the expected byte too.
    let offset = side.bytes.wrapping_add(i64::from(ahead) as u64);
    let step = Step {
        offset,
        previous_ns: side.last_ns,
        ahead,
        new_turn: ahead >= 0 && ack.wrapping_sub(side.turn_ack) as i32 > 0,
        first,
        previous_last_chunk: side.flags & direction_flag::LAST_CHUNK != 0,
    };
    if new_end <= 0 {
        // Seen before: a retransmission, or the late half of two packets that changed places. In the copy window it is
        // copied again, since the reader may lack it; the reader drops what it has.
        side.retransmits = side.retransmits.wrapping_add(1);
        let into_turn = seq.wrapping_sub(side.turn_seq);
        if into_turn >= settings::cap()
            || side.flags & direction_flag::COPYING == 0
            || step.offset > side.bytes
        {
            return None;
        }
        return Some(step);
    }
    side.next_seq = seq.wrapping_add(length);
    side.bytes = side.bytes.wrapping_add(new_end as u64);
    side.last_ns = at_ns;
    if step.new_turn {
        side.turn_seq = seq;
        side.turn_ack = ack;
    }
    Some(step)
}

/// How many of the bytes lie in the copy window of their turn.
#[inline(always)]
fn window<B: Bytes>(
    ctx: &B,
    scene: &Scene,
    side: &mut DirectionState,
    step: &Step,
    start: u32,
) -> u32 {
    if step.new_turn {
        if looks_like_head(ctx, scene.payload_at, scene.payload_length, start)
            || looks_like_dns(ctx, scene)
        {
            side.flags |= direction_flag::COPYING;
        } else {
            side.flags &= !direction_flag::COPYING;
            count(counter::OPAQUE_TURNS);
        }
    }
    if side.flags & direction_flag::COPYING == 0 {
        return if step.first {
            smaller(scene.payload_length, GREETING)
        } else {
            0
        };
    }
    let into_turn = scene.seq.wrapping_sub(side.turn_seq);
    smaller(
        settings::cap().saturating_sub(into_turn),
        scene.payload_length,
    )
}

#[inline(always)]
pub fn smaller(a: u32, b: u32) -> u32 {
    if a < b { a } else { b }
}

/// Whether a turn's first bytes could begin an HTTP/1 head or an HTTP/2 preface: a token (RFC 9110 section 5.6.2), after
/// empty lines perhaps, then what can follow one in a start line. `start` are its first four bytes, where those are
/// remembered, else 0.
#[inline(always)]
pub fn looks_like_head<B: Bytes>(
    ctx: &B,
    payload_at: u32,
    payload_length: u32,
    start: u32,
) -> bool {
    if payload_length < 4 {
        // Too little to judge: somebody writes byte by byte.
        return true;
    }
    let bytes = if start != 0 {
        start.to_ne_bytes()
    } else if let Some(bytes) = ctx.read::<4>(payload_at) {
        bytes
    } else {
        return false;
    };
    let first = bytes[0];
    let token = first.is_ascii_alphanumeric()
        || matches!(
            first,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
    (token || first == b'\r' || first == b'\n')
        && text(bytes[1])
        && text(bytes[2])
        && text(bytes[3])
}

/// Whether a turn begins with a message of DNS as TCP carries it (RFC 1035, section 4.2.2): its length, then its header. On
/// port 53 the two may come apart.
#[inline(always)]
fn looks_like_dns<B: Bytes>(ctx: &B, scene: &Scene) -> bool {
    if scene.is_dns_port {
        return true;
    }
    if scene.payload_length < 19 {
        return false;
    }
    let Some(bytes) = ctx.read::<14>(scene.payload_at) else {
        return false;
    };
    let length = u32::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    let [_, _, head @ ..] = bytes;
    length >= 17 && length + 2 >= scene.payload_length && udp::is_dns(&head)
}

#[inline(always)]
fn text(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) || byte == b'\r' || byte == b'\n'
}

/// Reserves the smallest room that holds `length` bytes, and copies. Says whether the bytes are there.
#[inline(always)]
pub fn emit<B: Bytes>(ctx: &B, at: u32, length: u32, record: TurnRecord) -> bool {
    if length <= 128 {
        ring::copy::<_, _, 128>(ctx, at, length, record)
    } else if length <= 256 {
        ring::copy::<_, _, 256>(ctx, at, length, record)
    } else if length <= 512 {
        ring::copy::<_, _, 512>(ctx, at, length, record)
    } else if length <= 1024 {
        ring::copy::<_, _, 1024>(ctx, at, length, record)
    } else if length <= 4096 {
        ring::copy::<_, _, 4096>(ctx, at, length, record)
    } else {
        ring::copy::<_, _, 16384>(ctx, at, length, record)
    }
}

/// The same for frames of HTTP/2, with fewer rooms: they are told from within a loop, each round of which the verifier walks.
#[inline(always)]
pub fn emit_frame<B: Bytes>(ctx: &B, at: u32, length: u32, record: TurnRecord) {
    if length <= 256 {
        ring::copy::<_, _, 256>(ctx, at, length, record);
    } else if length <= 2048 {
        ring::copy::<_, _, 2048>(ctx, at, length, record);
    } else {
        ring::copy::<_, _, 16384>(ctx, at, length, record);
    }
}

/// The same for what is never longer than the header of a frame of WebSocket with two bytes behind it.
#[inline(always)]
pub fn emit_frame_header<B: Bytes>(ctx: &B, at: u32, length: u32, record: TurnRecord) {
    ring::copy::<_, _, 16>(ctx, at, length, record);
}

/// Remembers whether the payload so far ends with the last chunk, when that end was not copied.
#[inline(always)]
fn note_tail<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState, step: &Step) {
    side.flags &= !direction_flag::LAST_CHUNK;
    if scene.payload_length < 5 || (step.new_turn && scene.payload_length <= GREETING) {
        return;
    }
    let end = scene.payload_at + scene.payload_length;
    if let Some(tail) = ctx.read::<5>(end - 5)
        && tail == *b"0\r\n\r\n"
    {
        side.flags |= direction_flag::LAST_CHUNK;
    }
}
