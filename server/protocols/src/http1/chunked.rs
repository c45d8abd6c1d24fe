//! The chunked transfer coding (RFC 9112, 7.1), followed without keeping any of it.
//!
//! Owns: the position inside a chunked body. Refuses: to hand out extensions or trailers, and to be strict where
//! the end of the body does not depend on it: line ends may be a bare LF, extensions hold any bytes but LF.

use super::MalformedElement;

/// A position in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks(Position);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// In the size; `None` before its first digit.
    Size(Option<u64>),
    /// Behind the size, before the end of its line.
    Extension { size: u64 },
    /// In the data, with so many bytes to come.
    Data(u64),
    /// Behind the data, before its line end.
    DataEnd { cr: bool },
    /// At the start of a trailer line.
    TrailerStart { cr: bool },
    /// In a trailer line.
    Trailer,
}

/// How a walk over some bytes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// All bytes belong to the body, and it goes on.
    More,
    /// The body ended behind so many bytes.
    End(usize),
    /// Behind so many bytes there is no chunk.
    Malformed(usize, MalformedElement),
}

impl Chunks {
    pub(super) fn start() -> Self {
        Self(Position::Size(None))
    }

    /// Walks over `bytes`, and gives each stretch of data.
    pub(super) fn walk(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Walk {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let Position::Data(left) = self.0 {
                let here = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - at);
                each(bytes.get(at..at + here).unwrap_or_default());
                at += here;
                self.pass(here as u64);
                continue;
            }
            at += 1;
            match self.step(*byte) {
                Ok(Some(next)) => self.0 = next,
                Ok(None) => return Walk::End(at),
                Err(element) => return Walk::Malformed(at - 1, element),
            }
        }
        Walk::More
    }

    /// The position behind `count` bytes that are not here. `None` when they reach beyond the chunk, or are of unknown
    /// count (0): then it is lost.
    pub(super) fn skip(mut self, count: u64) -> Option<Self> {
        match self.0 {
            Position::Data(left) if 0 < count && count <= left => {
                self.pass(count);
                Some(self)
            }
            _ => None,
        }
    }

    fn pass(&mut self, bytes: u64) {
        if let Position::Data(left) = self.0 {
            let left = left.saturating_sub(bytes);
            self.0 = if left == 0 {
                Position::DataEnd { cr: false }
            } else {
                Position::Data(left)
            };
        }
    }

    /// One byte of framing; `Ok(None)` is the end of the body.
    fn step(self, byte: u8) -> Result<Option<Position>, MalformedElement> {
        let next = match (self.0, byte) {
            (Position::Size(Some(size)) | Position::Extension { size }, b'\n') => behind_size(size),
            (Position::Size(Some(size)), b';' | b'\r' | b' ' | b'\t')
            | (Position::Extension { size }, _) => Position::Extension { size },
            (Position::Size(size), digit) => {
                let digit = char::from(digit)
                    .to_digit(16)
                    .ok_or(MalformedElement::ChunkSize)?;
                let size = size
                    .unwrap_or(0)
                    .checked_mul(16)
                    .ok_or(MalformedElement::ChunkSize)?;
                Position::Size(Some(size | u64::from(digit)))
            }
            (Position::DataEnd { .. }, b'\n') => Position::Size(None),
            (Position::DataEnd { cr: false }, b'\r') => Position::DataEnd { cr: true },
            (Position::DataEnd { .. }, _) => return Err(MalformedElement::ChunkEnd),
            (Position::TrailerStart { .. }, b'\n') => return Ok(None),
            (Position::TrailerStart { cr: false }, b'\r') => Position::TrailerStart { cr: true },
            (Position::Trailer, b'\n') => Position::TrailerStart { cr: false },
            (Position::TrailerStart { .. } | Position::Trailer, _) => Position::Trailer,
            (Position::Data(left), _) => Position::Data(left.saturating_sub(1)),
        };
        Ok(Some(next))
    }
}

fn behind_size(size: u64) -> Position {
    if size == 0 {
        Position::TrailerStart { cr: false }
    } else {
        Position::Data(size)
    }
}
