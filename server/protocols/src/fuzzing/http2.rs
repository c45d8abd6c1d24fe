//! HTTP/2: cuts change nothing, and neither do heads that are remembered; every head is handed over once, whatever is hidden; nothing counts more bytes than passed,
//! and no more streams are open than may be.
//!
//! The first byte holds switches; what follows are frames, written so that most bytes make some.
//!
//! ```text
//!   7   6   5   4   3   2   1   0
//! +-------+---+-------------------+---------+---------+---------+----------
//! | how   |side  type             |  flags  | stream  | length  | payload
//! +-------+---+-------------------+---------+---------+---------+----------
//! ```

use std::collections::BTreeSet;

use crate::exchange::Exchange;
use crate::http2::{
    Connection, Fields, Limits, MalformedElement, Observer, Repeats, RequestHead, ResponseHead,
    Room,
};
use crate::passive::{Direction, End, Skip};

const LIMITS: Limits = Limits {
    max_block_bytes: 64,
    max_table_bytes: 128,
    // Not reached: what is forgotten for it depends on how the stream was cut.
    max_held_bytes: 64 * 1024,
    max_streams: 4,
};
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) fn run(data: &[u8]) {
    let (switches, data) = data
        .split_first()
        .map_or((0, data), |(first, rest)| (*first, rest));
    let mut pieces = Vec::new();
    if switches & 2 == 0 {
        pieces.push(Piece {
            side: Direction::ToServer,
            how: How::Whole,
            bytes: PREFACE.to_vec(),
        });
    }
    let mut rest = data;
    while let Some(piece) = Piece::read(&mut rest) {
        pieces.push(piece);
    }
    let mut repeats = None;
    let whole = play(switches, &pieces, Play::Whole, &mut repeats);
    repeats = Some(Repeats::default());
    for _ in 0..2 {
        let again = play(switches, &pieces, Play::Whole, &mut repeats);
        assert!(again == whole, "{again:?} is not {whole:?}");
    }
    for size in [1, 7] {
        let cut = play(switches, &pieces, Play::Cut(size), &mut None);
        // Where frames are looked for, at the start of pieces, it matters where those are.
        assert!(
            switches & 1 != 0 || cut == whole,
            "{cut:?} is not {whole:?}"
        );
    }
    let hidden = play(switches, &pieces, Play::Hidden, &mut None);
    let again = play(switches, &pieces, Play::Hidden, &mut repeats);
    assert!(again == hidden, "{again:?} is not {hidden:?}");
}

struct Piece {
    side: Direction,
    how: How,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Whole,
    /// The header, and of the payload the half.
    Half,
    /// Lost.
    Lost,
    /// Whole, and announced.
    Marked,
}

impl Piece {
    fn read(rest: &mut &[u8]) -> Option<Self> {
        let (&[code, flags, stream, length], behind) = rest.split_first_chunk()?;
        let length = usize::from(length).min(behind.len());
        let (payload, behind) = behind.split_at(length);
        *rest = behind;
        let how = match code >> 6 {
            0 => How::Whole,
            1 => How::Half,
            2 => How::Lost,
            _ => How::Marked,
        };
        let side = if code & 0x20 == 0 {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        let kind = code & 0x1f;
        let mut bytes = Vec::new();
        if kind != 0x1f {
            let length = u32::try_from(length).unwrap_or_default().to_be_bytes();
            bytes.extend(length.iter().skip(1));
            bytes.extend([kind, flags]);
            bytes.extend(u32::from(stream).to_be_bytes());
        }
        // Of type 31 is what is no frame.
        bytes.extend(payload);
        Some(Self { side, how, bytes })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Play {
    Whole,
    /// In pieces of so many bytes.
    Cut(usize),
    /// What is to be hidden is.
    Hidden,
}

/// All that the connection said.
fn play(
    switches: u8,
    pieces: &[Piece],
    how: Play,
    repeats: &mut Option<Repeats<String, String>>,
) -> Vec<String> {
    let mut connection = Connection::new(LIMITS, switches & 1 != 0);
    let mut teller = Teller {
        repeats: repeats.take(),
        ..Teller::default()
    };
    let why = if switches & 4 == 0 {
        Skip::RecordsLost
    } else {
        Skip::NotCopied
    };
    let mut passed = 0;
    for (at_ns, piece) in (1..).zip(pieces) {
        passed += piece.bytes.len() as u64;
        let (side, whole) = (piece.side, piece.bytes.len());
        let seen = match (how, piece.how) {
            (Play::Hidden, How::Half) => whole.min(9) + whole.saturating_sub(9) / 2,
            (Play::Hidden, How::Lost) => 0,
            _ => whole,
        };
        if piece.how == How::Marked {
            connection.frame(side);
        }
        let chunk = match how {
            Play::Cut(length) => length,
            Play::Whole | Play::Hidden => whole.max(1),
        };
        for bytes in piece.bytes.get(..seen).unwrap_or_default().chunks(chunk) {
            connection.bytes(side, at_ns, at_ns, bytes, &mut teller);
        }
        let hidden = (whole - seen) as u64;
        connection.skipped(side, at_ns, hidden, why, &mut teller);
        assert!(connection.open().count() <= LIMITS.max_streams);
        if connection.is_reversed() && switches & 8 != 0 {
            connection.turn_round();
        }
    }
    let facts = [Direction::ToServer, Direction::ToClient].map(|side| *connection.facts(side));
    let (first, last) = if switches & 16 == 0 {
        (Direction::ToServer, Direction::ToClient)
    } else {
        (Direction::ToClient, Direction::ToServer)
    };
    connection.end(first, 0, End::Fin, &mut teller);
    connection.end(last, 0, End::Fin, &mut teller);
    assert_eq!(connection.open().count(), 0);
    assert_eq!(teller.requests, teller.requests_over);
    // Those that are remembered are not counted.
    assert!(teller.repeats.is_some() || teller.responses_over <= teller.responses);
    assert!(teller.bytes <= passed);
    teller.said.push(format!("{facts:?}"));
    *repeats = teller.repeats;
    teller.said
}

/// Heads as text.
#[derive(Default)]
struct Teller {
    room: Room,
    said: Vec<String>,
    ordinals: BTreeSet<u32>,
    requests: usize,
    requests_over: usize,
    responses: usize,
    responses_over: usize,
    bytes: u64,
    repeats: Option<Repeats<String, String>>,
}

fn text(fields: Fields<'_>) -> String {
    let fields: Vec<_> = fields.iter().collect();
    format!("{fields:?}")
}

impl Observer for Teller {
    type Request = String;
    type Response = String;

    fn room(&mut self) -> &mut Room {
        &mut self.room
    }
    fn request(&mut self, head: &RequestHead<'_>) -> String {
        self.requests += 1;
        let fields = text(head.fields);
        format!("{:?} {:?} {fields} {}", head.method, head.path, head.cut)
    }
    fn response(&mut self, head: &ResponseHead<'_>) -> String {
        self.responses += 1;
        format!("{:?} {} {}", head.status, text(head.fields), head.cut)
    }
    fn request_trailers(&mut self, request: &mut String, fields: Fields<'_>) {
        request.push_str(&text(fields));
    }
    fn response_trailers(&mut self, response: &mut String, fields: Fields<'_>) {
        response.push_str(&text(fields));
    }
    fn exchange(&mut self, exchange: Exchange<String, String>) {
        assert!(self.ordinals.insert(exchange.ordinal), "handed over twice");
        if let Some(part) = &exchange.request {
            self.requests_over += 1;
            self.bytes += part.header_bytes + part.body_bytes;
        }
        if let Some(part) = &exchange.response {
            self.responses_over += 1;
            self.bytes += part.header_bytes + part.body_bytes;
        }
        self.said.push(format!("{exchange:?}"));
    }
    fn repeats(&mut self) -> Option<&mut Repeats<String, String>> {
        self.repeats.as_mut()
    }
    fn request_may_repeat(&self, _: &String, _: bool) -> bool {
        true
    }
    fn response_may_repeat(&self, _: &String, _: bool) -> bool {
        true
    }
    fn request_repeats(&mut self, _: &String) {
        self.requests += 1;
    }
    fn malformed(&mut self, direction: Direction, element: MalformedElement) {
        self.said.push(format!("{direction:?} {element:?}"));
    }
}
