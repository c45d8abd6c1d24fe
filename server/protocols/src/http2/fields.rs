//! Heads: the fields of a header block, and the pseudo-header fields among them.
//!
//! Owns: the room in which a block is laid out while it is looked at. Refuses: to keep it: the room is the observer's, and
//! is overwritten by the next block.

use crate::decimal::decimal;
use crate::grpc;
use crate::hpack::{self, InsertedName, Text, Unknown};
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
    inserted: bool,
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
            inserted: field.inserted,
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

/// Fields that a block inserted into the table of HPACK.
#[derive(Debug, Default)]
pub(super) struct Inserted {
    /// Names that are not the static table's, and values.
    texts: Vec<u8>,
    fields: Vec<InsertedField>,
}

#[derive(Debug)]
struct InsertedField {
    static_name: Option<&'static [u8]>,
    /// Bytes of a name that is not.
    name_length: usize,
    value_length: usize,
}

impl Inserted {
    fn push(&mut self, name: &[u8], value: &[u8]) {
        let (static_name, name) = match InsertedName::of(name) {
            InsertedName::Static(name) => (Some(name), &[][..]),
            InsertedName::Literal(name) => (None, name),
        };
        self.texts.extend_from_slice(name);
        self.texts.extend_from_slice(value);
        self.fields.push(InsertedField {
            static_name,
            name_length: name.len(),
            value_length: value.len(),
        });
    }

    /// Inserts them again.
    pub(super) fn insert(&self, hpack: &mut hpack::Decoder) {
        let mut rest = self.texts.as_slice();
        let mut take = |length| {
            let (taken, behind) = rest.split_at_checked(length).unwrap_or_default();
            rest = behind;
            taken
        };
        for field in &self.fields {
            let name = take(field.name_length);
            let name = field
                .static_name
                .map_or(InsertedName::Literal(name), InsertedName::Static);
            hpack.insert(name, take(field.value_length));
        }
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

    /// Those that were inserted into the table of HPACK, if each is known.
    pub(super) fn inserted(self) -> Option<Inserted> {
        let mut inserted = Inserted::default();
        for entry in self.room.entries.iter().filter(|entry| entry.inserted) {
            let (name, value) = (
                self.room.text(entry.name).known()?,
                self.room.text(entry.value).known()?,
            );
            inserted.push(name, value);
        }
        Some(inserted)
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
        let mut head = Self {
            method: None,
            scheme: None,
            authority: None,
            path: None,
            protocol: None,
            fields,
            cut,
        };
        for (name, value, _) in fields.all() {
            let Text::Known([b':', name @ ..]) = name else {
                continue;
            };
            let place = match name {
                b"method" => &mut head.method,
                b"scheme" => &mut head.scheme,
                b"authority" => &mut head.authority,
                b"path" => &mut head.path,
                b"protocol" => &mut head.protocol,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        head
    }
}

/// What the parser itself needs of a block's fields.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, true or false by itself"
)]
pub(super) struct Traits {
    /// The direction that they go in, as far as they tell.
    pub(super) direction: Option<Direction>,
    /// They can only be trailers: pseudo-header fields, which every head has, come first (RFC 9113, 8.1 and 8.3).
    pub(super) are_trailers: bool,
    /// A name or a value is not known.
    pub(super) has_unknown: bool,
    pub(super) has_method: bool,
    pub(super) has_status: bool,
    /// Of three digits.
    pub(super) status: Option<u16>,
    /// Whether the content is gRPC, when that is known.
    pub(super) is_grpc: Option<bool>,
    /// Content-Length; `None` where it is absent, no number, or told in two ways.
    pub(super) content_length: Option<u64>,
}

impl Traits {
    /// Of a field that comes more than once, but for Content-Length, the first counts.
    pub(super) fn of(fields: Fields<'_>) -> Self {
        let mut traits = Self::default();
        let (mut asks, mut has_grpc_status) = (false, false);
        let (mut content_type, mut length) = (None, Length::Absent);
        for (place, (name, value, _)) in fields.all().enumerate() {
            traits.has_unknown |= matches!(value, Text::Unknown(_));
            let Text::Known(name) = name else {
                traits.has_unknown = true;
                continue;
            };
            traits.are_trailers |= place == 0 && !name.starts_with(b":");
            match name {
                b":status" if !traits.has_status => {
                    traits.has_status = true;
                    traits.status = value.known().and_then(status);
                }
                b":method" => (asks, traits.has_method) = (true, true),
                b":path" | b":scheme" | b":authority" => asks = true,
                b"content-type" => {
                    content_type.get_or_insert(value);
                }
                b"content-length" => length = length.and(value),
                b"grpc-status" => has_grpc_status = true,
                _ => {}
            }
        }
        traits.direction = if traits.has_status || (traits.are_trailers && has_grpc_status) {
            Some(Direction::ToClient)
        } else {
            asks.then_some(Direction::ToServer)
        };
        traits.is_grpc = content_type.and_then(Text::known).map(|value| {
            grpc::content_type(value).is_some_and(|kind| kind.protocol == grpc::Protocol::Grpc)
        });
        if let Length::Told(told) = length {
            traits.content_length = Some(told);
        }
        traits
    }
}

/// What the fields so far say of the content's length.
#[derive(Clone, Copy)]
enum Length {
    Absent,
    Told(u64),
    Unclear,
}

impl Length {
    fn and(self, value: Text<'_>) -> Self {
        match (self, value.known().and_then(decimal)) {
            (Self::Absent, Some(told)) => Self::Told(told),
            (Self::Told(before), Some(told)) if before == told => self,
            _ => Self::Unclear,
        }
    }
}

/// Three digits.
fn status(digits: &[u8]) -> Option<u16> {
    if digits.len() != 3 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u16::from(digit - b'0'))
    })
}
