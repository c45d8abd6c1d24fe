//! WebSocket (RFC 6455): copying frame by frame. Of a frame its header is copied, and of a close frame the two bytes of its
//! code; payload stays in the kernel.
//!
//! Each direction is recognised by itself, since on the loopback device each end shows its own alone. The server's is
//! WebSocket behind the head of a response with the status 101, whose end is looked for byte by byte so that nothing behind
//! it is taken for a part of it. The client's is when a turn behind one of text begins with a masked frame: a guess, which
//! user space believes when it has seen the handshake, and which the first bytes that are no frame undo.
//!
//! Where the walk is stands in the flow map, as with HTTP/2 (`frames`).

use headwater_schema::{
    flow::{DirectionState, counter, direction_flag, go_on},
    record::place,
};

use crate::{
    bytes::Bytes,
    counters::count,
    frames::{Walk, load_header, restart},
    settings,
    turn::{Scene, Step, emit_frame, emit_frame_header, smaller},
};

/// Frames looked at by one program; 33 tail calls may follow each other.
const FRAMES: u32 = 24;
/// Bytes of a head looked at by one program.
const HEAD: u32 = 96;
/// `CR LF CR LF`, which ends a head.
const HEAD_END: u32 = u32::from_be_bytes(*b"\r\n\r\n");
/// Known opcodes, as bits.
const OPCODES: u32 = 0x0707;
/// Opcodes that begin something, as bits: text, binary, close, ping, pong.
const BEGINNING: u32 = 1 << 1 | 1 << 2 | 1 << 8 | 1 << 9 | 1 << 10;
/// The longest header of a frame: 2 bytes, a length of 8, a key of 4.
const HEADER: u32 = 14;
/// Bytes of a close frame's payload that are its code.
const CODE: u32 = 2;
/// Longer frames are not believed.
const MAX_LENGTH: u64 = 1 << 31;
/// The opcode that closes.
const CLOSE: u8 = 8;
/// One of these a direction has that was recognised.
const ANY: u32 = direction_flag::UPGRADING | direction_flag::WEBSOCKET;

/// Whether a direction was recognised before.
#[inline(always)]
pub fn is_known(side: &DirectionState) -> bool {
    side.flags & ANY != 0
}

/// Whether a turn that begins with `start`, in a direction that is nothing else yet, is to be walked.
#[inline(always)]
pub fn begins(side: &mut DirectionState, step: &Step, start: &[u8; 12]) -> bool {
    if !step.new_turn {
        return false;
    }
    let [a, b, c, d, e, f, g, h, _, i, j, k] = *start;
    // As numbers: comparing arrays of this length is a call.
    if u64::from_ne_bytes([a, b, c, d, e, f, g, h]) == u64::from_ne_bytes(*b"HTTP/1.1")
        && u32::from_ne_bytes([i, j, k, 0]) == u32::from_ne_bytes(*b"101\0")
    {
        begin(side, direction_flag::UPGRADING);
        return true;
    }
    begins_masked(side, a, b)
}

/// The same for a turn of six to eight bytes.
#[inline(always)]
pub fn begins_shortly<B: Bytes>(
    ctx: &B,
    scene: &Scene,
    side: &mut DirectionState,
    step: &Step,
) -> bool {
    if !step.new_turn || scene.payload_length < 6 {
        return false;
    }
    match ctx.read::<2>(scene.payload_at) {
        Some([first, second]) => begins_masked(side, first, second),
        None => false,
    }
}

/// Whether a turn behind one of text may begin with a client's first frame: masked, of an opcode that begins one, without the
/// bits that nobody uses. Whether it does is seen by the program that walks it.
#[inline(always)]
fn begins_masked(side: &mut DirectionState, first: u8, second: u8) -> bool {
    if side.flags & direction_flag::COPYING == 0
        || second & 0x80 == 0
        || first & 0x30 != 0
        || BEGINNING >> (first & 0x0f) & 1 == 0
    {
        return false;
    }
    begin(side, direction_flag::WEBSOCKET | direction_flag::MASKED);
    true
}

#[inline(always)]
fn begin(side: &mut DirectionState, what: u32) {
    side.flags |= what;
    side.flags &= !(direction_flag::COPYING | direction_flag::ADRIFT);
    restart(side);
}

/// What is to be done with a packet of a direction that was recognised before.
#[inline(always)]
pub fn goes_on<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState, step: &Step) -> Walk {
    if step.ahead != 0 && side.flags & direction_flag::ADRIFT == 0 {
        // The end of the head may be among what is missing.
        side.flags &= !(direction_flag::UPGRADING | direction_flag::FRESH);
        side.flags |= direction_flag::WEBSOCKET | direction_flag::ADRIFT;
        count(counter::FRAMES_ADRIFT);
    }
    if side.flags & direction_flag::MASKED != 0
        && step.new_turn
        && side.frame_left == 0
        && side.header_have == 0
        && let Some([_, second]) = ctx.read::<2>(scene.payload_at)
        && second & 0x80 == 0
    {
        // No mask where a frame is due: it was none.
        leave(side);
        return Walk::None { start: 0 };
    }
    side.walk_at = 0;
    Walk::WebSocket
}

/// Hands a packet to the program that looks for the head's end, or to the one that walks frames.
#[inline(always)]
pub fn walk<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState) {
    side.payload_at = scene.payload_at;
    side.walk_ack = scene.ack;
    let program = if side.flags & direction_flag::UPGRADING != 0 {
        go_on::UPGRADE
    } else {
        go_on::WEBSOCKET
    };
    ctx.hand_over(scene.direction, program);
    side.flags |= direction_flag::ADRIFT;
}

/// Looks for the end of a head that upgrades.
#[inline(always)]
pub fn upgrade<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState) {
    let program = head(ctx, scene, side);
    if program < go_on::COUNT {
        ctx.hand_over(scene.direction, program);
        side.flags &= !direction_flag::UPGRADING;
        side.flags |= direction_flag::WEBSOCKET | direction_flag::ADRIFT;
    }
}

/// Walks a packet from where the walk is.
#[inline(always)]
pub fn go_on<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState) {
    if side.flags & direction_flag::FRESH != 0 {
        side.flags &= !direction_flag::FRESH;
        if begins_http2(ctx, scene.payload_at) {
            become_http2(side);
            return ctx.hand_over(scene.direction, go_on::FRAMES);
        }
    }
    if side.flags & direction_flag::ADRIFT != 0 {
        restart(side);
        if !is_found(ctx, scene, side.flags & direction_flag::MASKED != 0) {
            return;
        }
        side.flags &= !direction_flag::ADRIFT;
    }
    for _ in 0..FRAMES {
        if !one(ctx, scene, side) {
            return;
        }
    }
    if side.walk_at < scene.payload_length {
        ctx.hand_over(scene.direction, go_on::WEBSOCKET);
        side.flags |= direction_flag::ADRIFT;
    }
}

/// Looks for the end of the head, and tells the head when the packet or the head is at its end. Gives the program that goes
/// on with the packet, `COUNT` for none.
#[inline(always)]
fn head<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState) -> u32 {
    for _ in 0..HEAD {
        let at = side.walk_at;
        if at >= scene.payload_length || side.frame_left == HEAD_END {
            break;
        }
        let Some([byte]) = ctx.read::<1>(scene.payload_at + at) else {
            return go_on::COUNT;
        };
        side.walk_at = at + 1;
        // The last four bytes.
        side.frame_left = side.frame_left << 8 | u32::from(byte);
    }
    let is_whole = side.frame_left == HEAD_END;
    let length = side.walk_at;
    if !is_whole && length < scene.payload_length {
        return go_on::UPGRADE;
    }
    let what = if side.turn_seq == scene.seq {
        place::NEW_TURN
    } else {
        place::SAME_TURN
    };
    let record = scene.part(side, 0, length, what);
    emit_frame(
        ctx,
        scene.payload_at,
        smaller(length, settings::cap()),
        record,
    );
    if !is_whole {
        return go_on::COUNT;
    }
    restart(side);
    side.walk_at = length;
    side.flags &= !direction_flag::UPGRADING;
    side.flags |= direction_flag::WEBSOCKET;
    if length >= scene.payload_length {
        side.flags |= direction_flag::FRESH;
        return go_on::COUNT;
    }
    if begins_http2(ctx, scene.payload_at + length) {
        become_http2(side);
        return go_on::FRAMES;
    }
    go_on::WEBSOCKET
}

/// Whether HTTP/2 was upgraded to: the server's SETTINGS come first (RFC 9113 section 3.4). No WebSocket begins with a zero.
#[inline(always)]
fn begins_http2<B: Bytes>(ctx: &B, at: u32) -> bool {
    match ctx.read::<9>(at) {
        Some([0, _, _, 4, _, a, b, c, d]) => a | b | c | d == 0,
        _ => false,
    }
}

/// From where the walk is.
#[inline(always)]
fn become_http2(side: &mut DirectionState) {
    side.flags &= !(ANY | direction_flag::FRESH);
    side.flags |= direction_flag::FRAMED;
}

/// One step: the rest of a frame, or a header with what the packet holds of its frame. Says whether there may be more.
#[inline(always)]
fn one<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState) -> bool {
    let at = side.walk_at;
    if at >= scene.payload_length {
        return false;
    }
    let here = scene.payload_length - at;
    // What is told in the end: bytes of the stream, of which so many are copied, and what they begin.
    let (length, copied, what);
    if side.frame_left > 0 {
        length = smaller(side.frame_left, here);
        copied = smaller(side.frame_copy, length);
        what = place::IN_WEBSOCKET_FRAME;
        side.frame_left -= length;
        side.frame_copy -= copied;
    } else {
        let have = side.header_have;
        if have >= HEADER {
            // Not reached; says so to the verifier.
            return false;
        }
        let wanted = smaller(HEADER - have, here);
        if !load_header(ctx, scene.payload_at + at, have, wanted, side) {
            side.flags |= direction_flag::ADRIFT;
            return false;
        }
        what = if have == 0 {
            place::WEBSOCKET_FRAME
        } else {
            place::IN_WEBSOCKET_FRAME
        };
        let size = header_size(side.header[1]);
        let held = have + wanted;
        if held < size {
            // The packet cuts it; with one byte alone its size is not known, and more than one.
            side.header_have = held;
            (length, copied) = (wanted, wanted);
        } else {
            side.header_have = 0;
            let used = size - have;
            let whole = payload_size(side);
            let is_masked = side.flags & direction_flag::MASKED != 0;
            if !is_header(side.header[0], side.header[1], is_masked) || whole >= MAX_LENGTH {
                lose(side);
                return false;
            }
            let whole = whole as u32;
            let passes = smaller(whole, here - used);
            let copy = if side.header[0] & 0x0f == CLOSE {
                smaller(whole, CODE)
            } else {
                0
            };
            let first = smaller(copy, passes);
            side.frame_left = whole - passes;
            side.frame_copy = copy - first;
            (length, copied) = (used + passes, used + first);
        }
    }
    side.walk_at = at + length;
    if copied > 0 {
        let record = scene.part(side, at, length, what);
        emit_frame_header(ctx, scene.payload_at + at, copied, record);
    }
    true
}

/// Bytes where a frame is due that are none: what a client was guessed to send never was, and else the place is lost.
#[inline(always)]
fn lose(side: &mut DirectionState) {
    if side.flags & direction_flag::MASKED != 0 {
        leave(side);
    } else {
        side.flags |= direction_flag::ADRIFT;
        count(counter::FRAMES_ADRIFT);
    }
}

#[inline(always)]
fn leave(side: &mut DirectionState) {
    side.flags &= !(ANY | direction_flag::MASKED | direction_flag::ADRIFT | direction_flag::FRESH);
    restart(side);
}

/// Whether a packet whose place in the frames is not known begins with one: it fills the packet, or another follows.
#[inline(always)]
fn is_found<B: Bytes>(ctx: &B, scene: &Scene, is_masked: bool) -> bool {
    let Some(start) = ctx.read::<2>(scene.payload_at) else {
        return false;
    };
    if !is_header(start[0], start[1], is_masked) {
        return false;
    }
    let size = header_size(start[1]);
    let length = match start[1] & 0x7f {
        126 => match ctx.read::<2>(scene.payload_at + 2) {
            Some(length) => u32::from(u16::from_be_bytes(length)),
            None => return false,
        },
        // Too rare to be believed here.
        127 => return false,
        length => u32::from(length),
    };
    let next = size + length;
    if next >= scene.payload_length {
        return next == scene.payload_length;
    }
    match ctx.read::<2>(scene.payload_at + next) {
        Some(second) => is_header(second[0], second[1], is_masked),
        None => false,
    }
}

// The three below are without branches: they stand in a loop, each round of which the verifier walks along every path.

/// Whether these can be the first two bytes of a frame (RFC 6455 section 5.2).
#[inline(always)]
fn is_header(first: u8, second: u8, is_masked: bool) -> bool {
    let (first, second) = (u32::from(first), u32::from(second));
    let opcode = first & 0x0f;
    let length = second & 0x7f;
    let is_control = opcode >> 3;
    let is_compressed = first >> 6 & 1;
    let is_continuation = opcode.wrapping_sub(1) >> 31;
    let is_final = first >> 7;
    let is_long = (length + 2) >> 7;
    let wrong = first & 0x30
        | (second >> 7 ^ u32::from(is_masked))
        | (!(OPCODES >> opcode) & 1)
        | ((is_continuation | is_control) & is_compressed)
        | (is_control & (is_long | (1 ^ is_final)));
    wrong == 0
}

/// Bytes of a header, by its second.
#[inline(always)]
fn header_size(second: u8) -> u32 {
    let second = u32::from(second);
    let length = second & 0x7f;
    let is_long = (length + 2) >> 7;
    let is_longest = (length + 1) >> 7;
    2 + 2 * is_long + 6 * is_longest + 4 * (second >> 7)
}

/// Bytes of the payload, by the header that is held.
#[inline(always)]
fn payload_size(side: &DirectionState) -> u64 {
    let [_, second, a, b, c, d, e, f, g, h, ..] = side.header;
    let length = u64::from(second & 0x7f);
    let is_long = (length + 2) >> 7;
    let is_longest = (length + 1) >> 7;
    let of_two = u64::from(u16::from_be_bytes([a, b]));
    let of_eight = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    length * (1 - is_long) + of_two * (is_long - is_longest) + of_eight * is_longest
}
