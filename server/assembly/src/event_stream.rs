//! The server-sent events of a response.
//!
//! Owns: which responses carry them, and how they are told. Counted by the parser, as far as the body is there.

use headwater_model::EventStream;
use headwater_protocols::event_stream::{Events, is_event_stream};

/// The event stream of one response.
#[derive(Debug, Clone)]
pub(crate) enum Streamed {
    /// Its body is followed.
    Counted(Box<Events>),
    /// Its body is not: it is compressed, or its bytes are not shown.
    Opaque,
}

impl Streamed {
    /// That of a response with these header fields; `None` when it has none. `shown`: its body will be.
    pub(crate) fn of<'a>(
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        shown: bool,
    ) -> Option<Self> {
        let (mut is_stream, mut is_coded) = (false, false);
        for (name, value) in fields {
            if name.eq_ignore_ascii_case(b"content-type") {
                is_stream = is_event_stream(value);
            } else if name.eq_ignore_ascii_case(b"content-encoding") {
                is_coded |= !value.eq_ignore_ascii_case(b"identity");
            }
        }
        is_stream.then(|| {
            if is_coded || !shown {
                Self::Opaque
            } else {
                Self::Counted(Box::default())
            }
        })
    }

    pub(crate) fn bytes(&mut self, at_ns: u64, data: &[u8]) {
        if let Self::Counted(events) = self {
            events.bytes(at_ns, data);
        }
    }

    pub(crate) fn skipped(&mut self, length: u64) {
        if let Self::Counted(events) = self {
            events.skipped(length);
        }
    }

    pub(crate) fn told(&self) -> EventStream {
        match self {
            Self::Counted(events) => {
                let tally = events.tally();
                EventStream {
                    events: Some(tally.events),
                    comments: tally.comments,
                    is_exact: events.is_exact(),
                    first_event_ns: tally.first_event_ns,
                    last_event_ns: tally.last_event_ns,
                }
            }
            Self::Opaque => EventStream::default(),
        }
    }
}
