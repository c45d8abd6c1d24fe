//! Plain bytes as a stream with the places where it is cut and hidden.
//!
//! The first byte says how many steps follow (its low five bits) and holds three switches for the target; each step is a
//! byte; what follows them is the stream. Behind the last step the rest of the stream is one piece.
//!
//! ```text
//!   7   6   5   4   3   2   1   0
//! +-------+---+-------------------+
//! | kind  |side  length - 1       |    kind 0 and 1: bytes, 2: hidden bytes, 3: a mark
//! +-------+---+-------------------+
//! ```

pub(super) struct Script<'a> {
    /// The three high bits of the first byte.
    pub(super) switches: u8,
    pub(super) steps: Vec<Step<'a>>,
    pub(super) stream: &'a [u8],
}

#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) kind: Kind,
    /// Which direction, where a target has two.
    pub(super) side: bool,
    /// Empty in a mark.
    pub(super) bytes: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    /// Bytes that the parser is only told the count of.
    Hidden,
    /// Whatever the target makes of it: a new packet, a new turn.
    Mark,
}

impl<'a> Script<'a> {
    pub(super) fn read(data: &'a [u8]) -> Self {
        let (first, rest) = data
            .split_first()
            .map_or((0, data), |(first, rest)| (*first, rest));
        let (codes, stream) = rest.split_at(rest.len().min(usize::from(first & 0x1f)));
        let mut left = stream;
        let mut steps: Vec<_> = codes.iter().map(|code| step(*code, &mut left)).collect();
        steps.push(Step {
            kind: Kind::Bytes,
            side: first & 0x20 != 0,
            bytes: left,
        });
        Self {
            switches: first >> 5,
            steps,
            stream,
        }
    }
}

fn step<'a>(code: u8, left: &mut &'a [u8]) -> Step<'a> {
    let kind = match code >> 6 {
        2 => Kind::Hidden,
        3 => Kind::Mark,
        _ => Kind::Bytes,
    };
    let length = match kind {
        Kind::Mark => 0,
        Kind::Bytes | Kind::Hidden => left.len().min(usize::from(code & 0x1f) + 1),
    };
    let (bytes, rest) = left.split_at(length);
    *left = rest;
    Step {
        kind,
        side: code & 0x20 != 0,
        bytes,
    }
}
