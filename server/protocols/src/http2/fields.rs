//! Heads: the fields of a header block, and the pseudo-header fields among them.
//!
//! Owns: the room in which a block is laid out while it is looked at. Refuses: to keep it: the room is the observer's, and
//! is overwritten by the next block.

use crate::hpack::{self, Text, Unknown};
use crate::passive::Direction;

/// Room for the fields of one block.
#[derive(Debug, Default)]
pub struct Room {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    name: Span,
    value: Span,
    never_indexed: bool,
}

#[derive(Debug, Clone, Copy)]
enum Span {
    Known { start: usize, end: usize },
    Unknown(Unknown),
}

impl Room {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    pub(super) fn push(&mut self, field: &hpack::Field<'_>) {
        let name = self.span(field.name);
        let value = self.span(field.value);
        self.entries.push(Entry {
            name,
            value,
            never_indexed: field.never_indexed,
        });
    }

    fn span(&mut self, text: Text<'_>) -> Span {
        match text {
            Text::Known(bytes) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(bytes);
                Span::Known {
                    start,
                    end: self.bytes.len(),
                }
            }
            Text::Unknown(unknown) => Span::Unknown(unknown),
        }
    }

    fn text(&self, span: Span) -> Text<'_> {
        match span {
            Span::Known { start, end } => {
                Text::Known(self.bytes.get(start..end).unwrap_or_default())
            }
            Span::Unknown(unknown) => Text::Unknown(unknown),
        }
    }

    pub(super) fn fields(&self) -> Fields<'_> {
        Fields { room: self }
    }
}

/// The fields of a head, in order.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    room: &'a Room,
}

impl<'a> Fields<'a> {
    /// All that are no pseudo-header fields: name, value, and whether the sender wants it never to be indexed (RFC 7541,
    /// 6.2.3), which senders do for secrets.
    pub fn iter(self) -> impl Iterator<Item = (Text<'a>, Text<'a>, bool)> {
        self.all()
            .filter(|(name, _, _)| !matches!(name, Text::Known([b':', ..])))
    }

    /// The first value of a field whose name is known; names are in lower case (RFC 9113, 8.2).
    pub fn find(self, wanted: &[u8]) -> Option<Text<'a>> {
        self.all()
            .find(|(name, _, _)| matches!(name, Text::Known(name) if *name == wanted))
            .map(|(_, value, _)| value)
    }

    /// Ids of fields of which neither name nor value is known: they may be pseudo-header fields.
    pub fn opaque(self) -> impl Iterator<Item = Unknown> {
        self.all().filter_map(|(name, _, _)| match name {
            Text::Unknown(unknown) => Some(unknown),
            Text::Known(_) => None,
        })
    }

    /// Whether a name or a value is not known.
    pub fn has_unknown(self) -> bool {
        let unknown = |text| matches!(text, Text::Unknown(_));
        self.all()
            .any(|(name, value, _)| unknown(name) || unknown(value))
    }

    /// Whether these can only be trailers: pseudo-header fields, which every head has, come first (RFC 9113, 8.1 and 8.3).
    pub(super) fn are_trailers(self) -> bool {
        match self.all().next() {
            Some((Text::Known(name), _, _)) => !name.starts_with(b":"),
            Some((Text::Unknown(_), _, _)) | None => false,
        }
    }

    /// The direction that these go in, as far as they tell.
    pub(super) fn direction(self) -> Option<Direction> {
        let has = |name: &[u8]| self.find(name).is_some();
        if has(b":status") || (self.are_trailers() && has(b"grpc-status")) {
            return Some(Direction::ToClient);
        }
        let asks = has(b":method") || has(b":path") || has(b":scheme") || has(b":authority");
        asks.then_some(Direction::ToServer)
    }

    fn all(self) -> impl Iterator<Item = (Text<'a>, Text<'a>, bool)> {
        let room = self.room;
        room.entries.iter().map(|entry| {
            (
                room.text(entry.name),
                room.text(entry.value),
                entry.never_indexed,
            )
        })
    }
}

/// The head of a request (RFC 9113, 8.3.1). A pseudo-header field that is not there may be among [`Fields::opaque`].
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// `:method`
    pub method: Option<Text<'a>>,
    /// `:scheme`
    pub scheme: Option<Text<'a>>,
    /// `:authority`
    pub authority: Option<Text<'a>>,
    /// `:path`
    pub path: Option<Text<'a>>,
    /// `:protocol` of an extended CONNECT (RFC 8441, 4).
    pub protocol: Option<Text<'a>>,
    /// The fields.
    pub fields: Fields<'a>,
    /// Whether fields are missing from it: over a limit, or not seen.
    pub cut: bool,
}

/// The head of a final response (RFC 9113, 8.3.2).
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// `:status`; `None` when it is not known.
    pub status: Option<u16>,
    /// The fields.
    pub fields: Fields<'a>,
    /// Whether fields are missing from it: over a limit, or not seen.
    pub cut: bool,
}

impl<'a> RequestHead<'a> {
    pub(super) fn new(fields: Fields<'a>, cut: bool) -> Self {
        Self {
            method: fields.find(b":method"),
            scheme: fields.find(b":scheme"),
            authority: fields.find(b":authority"),
            path: fields.find(b":path"),
            protocol: fields.find(b":protocol"),
            fields,
            cut,
        }
    }
}

/// Three digits.
pub(super) fn status(fields: Fields<'_>) -> Option<u16> {
    match fields.find(b":status")? {
        Text::Known(digits) if digits.len() == 3 => digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u16::from(digit - b'0'))
        }),
        Text::Known(_) | Text::Unknown(_) => None,
    }
}
