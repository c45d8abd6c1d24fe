//! HTTP/2 (RFC 9113): copying frame by frame. Headers of frames are copied with all that is in them, but of DATA, of which the
//! header alone is; bodies stay in the kernel.
//!
//! One exception, five bytes long: DATA that begins with a zero or a one may begin with the prefix of a gRPC message, which
//! is copied so that messages can be counted.
//!
//! Where the walk is stands in the flow map, not in registers: the verifier then sees the same state in each round of the
//! loop, and the program that goes on after a tail call finds it there.

use headwater_schema::{
    flow::{DirectionState, counter, direction_flag, go_on},
    record::{MAX_CAP, place},
};

use crate::{
    bytes::Bytes,
    counters::count,
    packet::zero,
    ring, settings,
    turn::{Scene, Step, emit_frame, looks_like_head, smaller},
    websocket,
};

/// Frames looked at by one program; 33 tail calls may follow each other.
const FRAMES: u32 = 16;
/// Bytes of a frame's header (RFC 9113 section 4.1).
const HEADER: u32 = 9;
/// Bytes of the client's connection preface (RFC 9113 section 3.4).
const PREFACE: u32 = 24;
/// Bytes before a gRPC message: a flag and a length.
const MESSAGE_PREFIX: u32 = 5;

/// The most bytes of frames that wait to be told with those behind them. With what is copied of one more they have to fit into the
/// greatest room for a record.
const MOST_WAITING: u32 = 1024;
/// So many are copied of a frame's payload.
const MOST_COPIED: u32 = MAX_CAP - HEADER - MOST_WAITING;

/// How a packet is to be walked.
pub enum Walk {
    /// Not at all: it is told by turns.
    None {
        /// Its first four bytes, where they are remembered, else 0.
        start: u32,
    },
    Http2,
    WebSocket,
}

/// Whether the packet is to be walked frame by frame; makes the direction ready for that.
#[inline(always)]
pub fn are_here<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState, step: &Step) -> Walk {
    if side.flags & direction_flag::FRAMED == 0 {
        if websocket::is_known(side) {
            return websocket::goes_on(ctx, scene, side, step);
        }
        if !(step.first || step.new_turn || side.flags & direction_flag::COPYING != 0)
            || step.ahead != 0
        {
            return Walk::None { start: 0 };
        }
        let Some(start) = ctx.read_start(scene.payload_at) else {
            return if websocket::begins_shortly(ctx, scene, side, step) {
                Walk::WebSocket
            } else {
                Walk::None { start: 0 }
            };
        };
        let [a, b, c, d, e, f, g, h, i, ..] = start;
        let header = [a, b, c, d, e, f, g, h, i];
        let begins = if start[0] == b'P' {
            is_preface(&header) && scene.payload_length >= PREFACE
        } else {
            start[0] == 0 && begins_frames(ctx, scene, &header)
        };
        if !begins {
            return if websocket::begins(side, step, &start) {
                Walk::WebSocket
            } else if B::IS_CHEAP {
                Walk::None { start: 0 }
            } else {
                let start = u32::from_ne_bytes([a, b, c, d]);
                Walk::None { start }
            };
        }
        side.flags |= direction_flag::FRAMED;
        restart(side);
        if start[0] == b'P' {
            // The preface is a frame of its own sort, of which all is copied.
            side.walk_at = 0;
            side.frame_left = PREFACE;
            side.frame_copy = PREFACE;
        }
        return Walk::Http2;
    }
    if step.ahead != 0 {
        side.flags |= direction_flag::ADRIFT;
    }
    let at_header = side.frame_left == 0 && side.header_have == 0;
    if step.new_turn
        && (at_header || side.flags & direction_flag::ADRIFT != 0)
        && looks_like_head(ctx, scene.payload_at, scene.payload_length, 0)
    {
        // Text where a frame is due: it was none.
        side.flags &= !(direction_flag::FRAMED | direction_flag::ADRIFT);
        return Walk::None { start: 0 };
    }
    side.walk_at = 0;
    side.run_length = 0;
    if side.flags & direction_flag::ADRIFT != 0 {
        count(counter::FRAMES_ADRIFT);
        restart(side);
        let found = match ctx.read::<9>(scene.payload_at) {
            Some(start) => is_header(&start),
            None => false,
        };
        if found {
            side.flags &= !direction_flag::ADRIFT;
        }
    }
    Walk::Http2
}

/// Hands a packet to the program that walks its frames: one that did all would be too much for older verifiers.
#[inline(always)]
pub fn walk<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState) {
    if side.flags & direction_flag::ADRIFT != 0 {
        return;
    }
    side.payload_at = scene.payload_at;
    side.walk_ack = scene.ack;
    ctx.hand_over(scene.direction, go_on::FRAMES);
    side.flags |= direction_flag::ADRIFT;
}

/// Goes over bytes of a frame that nobody could look at; where they are not of the frame that is under way, what follows is
/// not known.
#[inline(always)]
pub fn pass_over(side: &mut DirectionState, length: u32) {
    if side.flags & direction_flag::FRAMED == 0 && !websocket::is_known(side) {
        return;
    }
    if length > side.frame_left {
        side.flags |= direction_flag::ADRIFT;
        return;
    }
    side.frame_left -= length;
    side.frame_copy = smaller(side.frame_copy, side.frame_left);
}

/// Walks a packet's frames from where the walk is.
#[inline(always)]
pub fn go_on<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState) {
    for _ in 0..FRAMES {
        if !one(ctx, scene, side) {
            return;
        }
    }
    if side.walk_at < scene.payload_length {
        ctx.hand_over(scene.direction, go_on::FRAMES);
        side.flags |= direction_flag::ADRIFT;
        let waiting = side.run_length;
        side.run_length = 0;
        if waiting > 0 {
            let at = side.walk_at.wrapping_sub(waiting);
            let record = scene.part(side, at, waiting, place::FRAME);
            emit_frame(ctx, scene.payload_at.wrapping_add(at), waiting, record);
        }
    }
}

/// One step: the rest of a frame, or a header with what the packet holds of its frame. Says whether there may be more.
#[inline(always)]
fn one<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState) -> bool {
    let at = side.walk_at;
    if at >= scene.payload_length {
        return false;
    }
    let here = scene.payload_length - at;
    let (length, copied, what);
    if side.frame_left > 0 {
        length = smaller(side.frame_left, here);
        copied = smaller(side.frame_copy, length);
        // The client's preface is told as the beginning of a frame.
        what = if side.frame_left == PREFACE && scene.offset == 0 && at == 0 {
            place::FRAME
        } else {
            place::IN_FRAME
        };
        side.frame_left -= length;
        side.frame_copy -= copied;
    } else {
        let have = side.header_have;
        if have >= HEADER {
            // Not reached; says so to the verifier.
            return false;
        }
        let wanted = smaller(HEADER - have, here);
        what = if have == 0 {
            place::FRAME
        } else {
            place::IN_FRAME
        };
        if !load_header(ctx, scene.payload_at + at, have, wanted, side) {
            side.flags |= direction_flag::ADRIFT;
            (length, copied) = (0, 0);
        } else if have + wanted < HEADER {
            side.header_have = have + wanted;
            (length, copied) = (wanted, wanted);
        } else {
            side.header_have = 0;
            let whole = u32::from_be_bytes([0, side.header[0], side.header[1], side.header[2]]);
            let passes = smaller(whole, here - wanted);
            let copy = to_copy(ctx, scene, side.header[3], at + wanted, passes, whole);
            let first = smaller(copy, passes);
            side.frame_left = whole - passes;
            side.frame_copy = copy - first;
            (length, copied) = (wanted + passes, wanted + first);
        }
    }
    side.walk_at = at + length;
    tell(
        ctx,
        scene,
        side,
        &Part {
            at,
            length,
            copied,
            what,
        },
    );
    side.flags & direction_flag::ADRIFT == 0
}

/// A part of a packet: bytes of the stream, of which so many are copied, and what they begin.
struct Part {
    at: u32,
    length: u32,
    copied: u32,
    what: u8,
}

/// Tells of a part, with the frames before it that wait for that; or has it wait, where all of it is copied and more comes behind: most
/// packets have several frames, and a record costs more than what is in it.
#[inline(always)]
fn tell<B: Bytes>(ctx: &B, scene: &Scene, side: &mut DirectionState, part: &Part) {
    let waiting = side.run_length;
    let at = part.at.wrapping_sub(waiting);
    let what = if waiting > 0 { place::FRAME } else { part.what };
    let (length, copied) = (waiting + part.length, waiting + part.copied);
    let is_all = side.walk_at >= scene.payload_length || side.flags & direction_flag::ADRIFT != 0;
    if !is_all && copied == length && copied <= MOST_WAITING && what == place::FRAME {
        side.run_length = length;
        return;
    }
    side.run_length = 0;
    if copied > 0 {
        let record = scene.part(side, at, length, what);
        emit_frame(ctx, scene.payload_at.wrapping_add(at), copied, record);
    } else if part.length > 0 && side.frame_left == 0 && ends_stream(side) {
        // Nothing may follow that says that this has passed, and the answer may come at once.
        ring::bare(scene.part(side, at, length, what));
    }
}

/// Whether the frame of this header, DATA or HEADERS, is its sender's last of a stream (RFC 9113, section 6.1).
#[inline(always)]
fn ends_stream(side: &DirectionState) -> bool {
    side.header[3] <= 1 && side.header[4] & 1 != 0
}

/// Loads `wanted` bytes of a frame's header behind the `have` that are there.
#[inline(always)]
pub fn load_header<B: Bytes>(
    ctx: &B,
    at: u32,
    have: u32,
    wanted: u32,
    side: &mut DirectionState,
) -> bool {
    let bounded = (core::hint::black_box(wanted).wrapping_sub(1) & 15) + 1;
    let place = (core::hint::black_box(have) & 15) as usize;
    // SAFETY: at most 16 bytes are written behind at most 15, into an array of 32 in the map's value.
    let target = unsafe { side.header.as_mut_ptr().add(place) };
    ctx.copy(at, target.cast(), bounded)
}

/// How many bytes of a frame's payload are copied.
#[inline(always)]
fn to_copy<B: Bytes>(ctx: &B, scene: &Scene, kind: u8, at: u32, passes: u32, length: u32) -> u32 {
    if kind != 0 {
        return smaller(length, smaller(settings::cap(), MOST_COPIED));
    }
    if passes < MESSAGE_PREFIX {
        return 0;
    }
    match ctx.read::<1>(scene.payload_at + at) {
        Some([0 | 1]) => MESSAGE_PREFIX,
        _ => 0,
    }
}

#[inline(always)]
pub fn restart(side: &mut DirectionState) {
    let none = zero() as u32;
    side.frame_left = none;
    side.frame_copy = none;
    side.header_have = none;
    side.walk_at = none;
    side.run_length = none;
}

/// `PRI * HT` (RFC 9113 section 3.4).
#[inline(always)]
fn is_preface(start: &[u8; 9]) -> bool {
    // As numbers: comparing arrays of this length is a call.
    let [a, b, c, d, e, f, g, h, _] = *start;
    u64::from_ne_bytes([a, b, c, d, e, f, g, h]) == u64::from_ne_bytes(*b"PRI * HT")
}

/// Whether a packet of which nothing else is known begins with frames: the server's SETTINGS, which come first (RFC 9113
/// section 3.4), or, where the beginning was not seen, a frame that fills the packet or is followed by another.
#[inline(always)]
fn begins_frames<B: Bytes>(ctx: &B, scene: &Scene, start: &[u8; 9]) -> bool {
    if !is_header(start) {
        return false;
    }
    let next = HEADER + u32::from_be_bytes([0, start[0], start[1], start[2]]);
    if next == scene.payload_length {
        // An empty frame of zeros alone proves nothing; this one has a type and a fitting length.
        return start[3] != 0;
    }
    if next > scene.payload_length {
        return false;
    }
    match ctx.read::<9>(scene.payload_at + next) {
        Some(second) => is_header(&second),
        None => false,
    }
}

/// Whether these bytes can be a frame's header (RFC 9113 section 6): length, flags and stream as its type wants them.
#[inline(always)]
fn is_header(bytes: &[u8; 9]) -> bool {
    let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
    let (kind, flags) = (bytes[3], bytes[4]);
    let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
    if length > 16_384 || stream >= 1 << 24 {
        return false;
    }
    match kind {
        // DATA, HEADERS
        0 => stream != 0 && flags & 0xf6 == 0,
        1 => stream != 0 && flags & 0xd2 == 0 && length > 0,
        // PRIORITY, RST_STREAM
        2 => stream != 0 && length == 5 && flags == 0,
        3 => stream != 0 && length == 4 && flags == 0,
        // SETTINGS
        4 => stream == 0 && length % 6 == 0 && flags & 0xfe == 0 && length <= 240,
        // PUSH_PROMISE
        5 => stream != 0 && flags & 0xf3 == 0 && length > 4,
        // PING, GOAWAY
        6 => stream == 0 && length == 8 && flags & 0xfe == 0,
        7 => stream == 0 && length >= 8 && flags == 0,
        // WINDOW_UPDATE
        8 => length == 4 && flags == 0,
        // CONTINUATION
        9 => stream != 0 && flags & 0xfb == 0,
        _ => false,
    }
}
