//! Whether a piece of text looks like a token: length, alphabet, entropy, known prefixes.
//!
//! Owns the guess that separates `/users/list` from `/reset/q7Zk0…`. Words and slugs of words stay readable, however
//! long; what no person would have typed is a token. It errs in both directions, so it is only asked about text that is
//! expected to be harmless: carriers of credentials are redacted whatever their values look like.
//!
//! Entropy is measured where random text and language differ: in how often a run of letters and digits changes
//! between the two, changes case after one letter, or goes on without a vowel. Each such step is *odd*; random base62
//! has one every three characters, words nearly none.

use crate::plain::percent_decoded;

mod prefixes;
#[cfg(test)]
mod tests;

/// Whether a path segment, host label, argument or word looks like a token. Percent-decodes first.
pub(crate) fn is_token(piece: &[u8]) -> bool {
    if piece.len() < SHORTEST {
        return false;
    }
    let piece = &*percent_decoded(piece);
    let shape = Shape::of(piece);
    shape.longest_digits >= CARD_DIGITS
        || shape.longest_hex >= HEX_DIGITS
        || is_long_number(piece, &shape)
        || (shape.is_random() && !is_asset(piece))
        || prefixes::has_known(piece)
        || (piece.len() >= UUID_BYTES && has_uuid(piece))
}

/// Whether a word is base64 of the standard alphabet, in which a `/` is no path separator.
pub(crate) fn is_base64(word: &[u8]) -> bool {
    let padding = word.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = word.get(..word.len() - padding.min(2)).unwrap_or_default();
    text.len() >= 22
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        && text.iter().any(u8::is_ascii_lowercase)
        && text.iter().any(u8::is_ascii_uppercase)
        && text.iter().any(u8::is_ascii_digit)
        && Shape::of(text).is_random()
}

/// Whether a piece is a UUID and nothing else.
pub(crate) fn is_uuid(piece: &[u8]) -> bool {
    piece.len() == UUID_BYTES
        && piece.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => matches!(byte, b'-' | b'_'),
            _ => byte.is_ascii_hexdigit(),
        })
}

/// What one pass over a piece tells.
#[derive(Default)]
struct Shape {
    digits: usize,
    longest_digits: usize,
    longest_hex: usize,
    /// Letters and digits, odd steps among them, and the longest run.
    bytes: usize,
    steps: usize,
    longest_run: usize,
    /// One bit each: digits, lower case, upper case.
    classes: u8,
    /// Bytes in runs that are odd for their length.
    odd_run_bytes: usize,
    longest_odd_run: usize,
    /// Odd steps in those runs.
    odd_steps: usize,
}

/// A run of letters and digits, as far as it was read.
#[derive(Default)]
struct Run {
    bytes: usize,
    odd_steps: usize,
    digits: usize,
    hex: usize,
    lower: usize,
    consonants: usize,
    classes: u8,
    last: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Other,
    Digit,
    Lower,
    Upper,
}

impl Shape {
    fn of(piece: &[u8]) -> Self {
        let (mut shape, mut run) = (Self::default(), Run::default());
        for byte in piece {
            match byte {
                b'0'..=b'9' => run.digit(&mut shape),
                b'a'..=b'z' => run.letter(*byte, Kind::Lower),
                b'A'..=b'Z' => run.letter(*byte, Kind::Upper),
                _ => {
                    shape.end_of(&run);
                    run = Run::default();
                    continue;
                }
            }
            run.bytes += 1;
            run.hex = if byte.is_ascii_hexdigit() {
                run.hex + 1
            } else {
                0
            };
            shape.longest_hex = shape.longest_hex.max(run.hex);
        }
        shape.end_of(&run);
        shape
    }
    fn is_random(&self) -> bool {
        let in_odd_runs = self.odd_run_bytes >= RANDOM_BYTES
            && self.odd_steps >= RANDOM_STEPS
            && self.longest_odd_run >= RANDOM_RUN;
        // A separator may cut random text so that one run has all the odd steps.
        let in_all = self.classes == 7
            && self.bytes >= MIXED_BYTES
            && self.steps * MIXED_RARITY >= self.bytes
            && self.longest_run >= MIXED_RUN;
        in_odd_runs || in_all
    }
    fn end_of(&mut self, run: &Run) {
        self.bytes += run.bytes;
        self.steps += run.odd_steps;
        self.longest_run = self.longest_run.max(run.bytes);
        self.classes |= run.classes;
        if run.odd_steps * RARITY >= run.bytes {
            self.odd_run_bytes += run.bytes;
            self.odd_steps += run.odd_steps;
            self.longest_odd_run = self.longest_odd_run.max(run.bytes);
        }
    }
}

impl Run {
    fn digit(&mut self, shape: &mut Shape) {
        self.odd_steps += usize::from(matches!(self.last, Kind::Lower | Kind::Upper));
        self.classes |= 1;
        self.digits += 1;
        self.lower = 0;
        self.consonants = 0;
        self.last = Kind::Digit;
        shape.digits += 1;
        shape.longest_digits = shape.longest_digits.max(self.digits);
    }
    fn letter(&mut self, byte: u8, kind: Kind) {
        // One lower-case letter between capitals is no camel.
        let camel = self.last == Kind::Lower && kind == Kind::Upper;
        let hump = camel && self.lower == 1;
        if camel && !hump {
            self.consonants = 0;
        }
        self.odd_steps += usize::from(hump || self.last == Kind::Digit);
        self.classes |= if kind == Kind::Lower { 2 } else { 4 };
        self.digits = 0;
        self.lower = if kind == Kind::Lower {
            self.lower + 1
        } else {
            0
        };
        let vowel = matches!(
            byte.to_ascii_lowercase(),
            b'a' | b'e' | b'i' | b'o' | b'u' | b'y'
        );
        self.consonants = if vowel { 0 } else { self.consonants + 1 };
        self.odd_steps += usize::from(self.consonants > WORD_CONSONANTS);
        self.last = kind;
    }
}

/// Card and telephone numbers: twelve digits in groups. Dates with times begin like a year and have more marks.
fn is_long_number(piece: &[u8], shape: &Shape) -> bool {
    shape.digits >= CARD_DIGITS
        && piece
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'+' | b'(' | b')'))
        && !is_date(piece)
}

/// Whether a piece begins with a date such as `2024-02-29`.
pub(crate) fn is_date(piece: &[u8]) -> bool {
    let [
        b'1' | b'2',
        b'0' | b'9',
        y3,
        y4,
        b'-',
        m1 @ b'0'..=b'1',
        m2,
        rest @ ..,
    ] = piece
    else {
        return false;
    };
    let day = matches!(rest, [] | [b'-', b'0'..=b'3', b'0'..=b'9', ..]);
    day && [y3, y4, m1, m2].iter().all(|digit| digit.is_ascii_digit())
}

/// A file of a web page whose name holds a short hexadecimal hash of its content, as bundlers write it.
fn is_asset(piece: &[u8]) -> bool {
    let Some(dot) = piece.iter().rposition(|byte| *byte == b'.') else {
        return false;
    };
    let Some((name, extension)) = piece.split_at_checked(dot) else {
        return false;
    };
    let known: &[&[u8]] = &[
        b".js", b".mjs", b".css", b".map", b".png", b".jpg", b".svg", b".webp", b".woff",
        b".woff2", b".ttf", b".wasm",
    ];
    let is_word = |part: &[u8]| {
        !Shape::of(part).is_random()
            || (part.len() <= ASSET_HASH && part.iter().all(u8::is_ascii_hexdigit))
    };
    known.contains(&extension)
        && name
            .split(|byte| matches!(byte, b'.' | b'-' | b'_'))
            .all(is_word)
}

fn has_uuid(piece: &[u8]) -> bool {
    piece.windows(UUID_BYTES).any(is_uuid)
}

/// The shortest piece that can be a token: a number of twelve digits.
const SHORTEST: usize = 12;
const CARD_DIGITS: usize = 12;
/// An MD5 digest, a trace id, a session id.
const HEX_DIGITS: usize = 32;
const UUID_BYTES: usize = 36;
/// Bytes in odd runs from which a piece is random. A token of 20 may hold a short run without an odd step.
const RANDOM_BYTES: usize = 16;
/// Odd steps in them.
const RANDOM_STEPS: usize = 4;
/// The longest of these runs: `h264-mp4-base64` is a list of words.
const RANDOM_RUN: usize = 7;
/// Bytes and rarity of random text with digits and both cases, and its longest run.
const MIXED_BYTES: usize = 20;
const MIXED_RARITY: usize = 5;
const MIXED_RUN: usize = 9;
/// A run is odd when it has one odd step for so many bytes.
const RARITY: usize = 7;
/// Consonants in a row that words have (`lengths`).
const WORD_CONSONANTS: usize = 4;
/// The longest content hash in a file name that stays readable: webpack's default.
const ASSET_HASH: usize = 20;
