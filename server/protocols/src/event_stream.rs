//! Server-sent events (WHATWG HTML, 9.2) as a passive observer sees them: the body of one response, without its
//! transfer and content codings.
//!
//! Owns: where lines and events end. Refuses: to keep a field's name or value: an event is counted, what it says is not
//! looked at.
//!
//! **Invariant**: while [`Events::is_exact`] is true, the [`Tally`] is what a client would dispatch; behind that it is at
//! most that. After a skip the place within a line is not known until the line ends, so that line counts for nothing;
//! a data line from before the skip still proves that an event ends at the next blank line, or ended before it.

/// Whether a `content-type` is that of an event stream, with parameters or without.
pub fn is_event_stream(content_type: &[u8]) -> bool {
    content_type
        .split(|byte| *byte == b';')
        .next()
        .is_some_and(|essence| {
            essence
                .trim_ascii()
                .eq_ignore_ascii_case(b"text/event-stream")
        })
}

/// The events of one response.
#[derive(Debug, Clone)]
pub struct Events {
    line: Line,
    /// The byte before was a CR, and ended a line: an LF now belongs to it.
    carriage_return: bool,
    /// The event that is passing has a data line.
    data: bool,
    tally: Tally,
    exact: bool,
}

/// What passed of an event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Events that a client dispatches: data lines with a blank line behind them.
    pub events: u64,
    /// Comment lines, which servers send to keep the connection alive.
    pub comments: u64,
    /// Bytes, whatever they are.
    pub bytes: u64,
    /// When the piece with the end of the first event passed.
    pub first_event_ns: Option<u64>,
    /// When the piece with the end of the latest event passed.
    pub last_event_ns: Option<u64>,
}

/// What is known of the line that is passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// The stream's first, of which only so many bytes of a byte order mark came.
    ByteOrderMark(usize),
    /// So many bytes of `data` came, and nothing else.
    Name(usize),
    /// A comment.
    Comment,
    /// A data field.
    Data,
    /// Another field.
    Other,
    /// Its beginning was not seen.
    Unknown,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const DATA: &[u8] = b"data";

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Events {
    /// A response, from the first byte of its body on.
    pub fn new() -> Self {
        Self {
            line: Line::ByteOrderMark(0),
            carriage_return: false,
            data: false,
            tally: Tally::default(),
            exact: true,
        }
    }

    /// Bytes of the body passed at `at_ns`.
    pub fn bytes(&mut self, at_ns: u64, data: &[u8]) {
        self.tally.bytes = self.tally.bytes.saturating_add(data.len() as u64);
        let mut rest = data;
        while let Some((first, behind)) = rest.split_first() {
            let after_cr = std::mem::take(&mut self.carriage_return);
            rest = behind;
            match first {
                b'\n' if after_cr => {}
                b'\r' | b'\n' => {
                    self.end_line(at_ns);
                    self.carriage_return = *first == b'\r';
                }
                byte => {
                    self.line = self.line.with(*byte);
                    if self.line.is_decided() {
                        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
                        rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
                    }
                }
            }
        }
    }

    /// `length` bytes of the body passed that are not here; 0 when it is not known how many.
    pub fn skipped(&mut self, length: u64) {
        self.tally.bytes = self.tally.bytes.saturating_add(length);
        self.line = Line::Unknown;
        self.carriage_return = false;
        self.exact = false;
    }

    /// What passed so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether the tally is all that passed, not a lower bound.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    fn end_line(&mut self, at_ns: u64) {
        match std::mem::replace(&mut self.line, Line::Name(0)) {
            Line::ByteOrderMark(0) | Line::Name(0) => {
                if std::mem::take(&mut self.data) {
                    self.tally.events += 1;
                    self.tally.first_event_ns.get_or_insert(at_ns);
                    self.tally.last_event_ns = Some(at_ns);
                }
            }
            Line::Comment => self.tally.comments += 1,
            // A field name alone is a field with an empty value, and a data field all the same.
            Line::Data => self.data = true,
            Line::Name(length) => self.data |= length == DATA.len(),
            Line::ByteOrderMark(_) | Line::Other | Line::Unknown => {}
        }
    }
}

impl Line {
    /// The line with one byte more, which is no line end.
    fn with(self, byte: u8) -> Self {
        match self {
            Self::ByteOrderMark(length) if BYTE_ORDER_MARK.get(length) == Some(&byte) => {
                match length + 1 {
                    whole if whole == BYTE_ORDER_MARK.len() => Self::Name(0),
                    length => Self::ByteOrderMark(length),
                }
            }
            Self::ByteOrderMark(0) => Self::Name(0).with(byte),
            Self::Name(0) if byte == b':' => Self::Comment,
            Self::Name(length) if DATA.get(length) == Some(&byte) => Self::Name(length + 1),
            Self::Name(length) if length == DATA.len() && byte == b':' => Self::Data,
            Self::ByteOrderMark(_) | Self::Name(_) => Self::Other,
            decided => decided,
        }
    }

    /// Whether the rest of the line changes nothing.
    fn is_decided(self) -> bool {
        matches!(
            self,
            Self::Comment | Self::Data | Self::Other | Self::Unknown
        )
    }
}
