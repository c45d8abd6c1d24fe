//! What a proxy says of its client before it passes on anything of it (the PROXY protocol).
//!
//! Owns: the bytes of such a header, which nobody behind this sees: TLS and the dialect begin behind it.

use headwater_model::Proxied;
use headwater_protocols::http1::Direction;
use headwater_protocols::proxy::{Beginning, begins};

use crate::stream::Stretch;

/// Bytes held of what may be a header: a proxy that tells of its client's certificate, too, sends some hundreds.
const MOST_HELD: usize = 4 << 10;

/// The beginning of what a client sends.
pub(super) enum Preamble {
    /// It may still be a header.
    Awaited(Held),
    /// It is over.
    Over(Option<Box<Proxied>>),
}

/// What has come of it, and when that began.
#[derive(Default)]
pub(super) struct Held {
    at_ns: u64,
    tag: u64,
    bytes: Vec<u8>,
}

impl Default for Preamble {
    fn default() -> Self {
        Self::Awaited(Held::default())
    }
}

impl Preamble {
    /// Of a connection whose beginning was not seen there is none.
    pub(super) fn new(joined_midstream: bool) -> Self {
        if joined_midstream {
            Self::Over(None)
        } else {
            Self::default()
        }
    }

    /// What the header said, if there was one.
    pub(super) fn told(&self) -> Option<&Proxied> {
        match self {
            Self::Awaited(_) | Self::Over(None) => None,
            Self::Over(Some(proxied)) => Some(proxied),
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Awaited(held) => held.bytes.capacity(),
            Self::Over(_) => 0,
        }
    }

    /// Passes on what is not of the header.
    pub(super) fn pass(
        &mut self,
        direction: Direction,
        stretch: Stretch<'_>,
        give: &mut dyn FnMut(Stretch<'_>),
    ) {
        let held = match self {
            Self::Awaited(held) if direction == Direction::ToServer => held,
            Self::Awaited(_) | Self::Over(_) => return give(stretch),
        };
        let before = held.bytes.len();
        match stretch {
            Stretch::Bytes {
                at_ns, tag, data, ..
            } => {
                if before == 0 {
                    (held.at_ns, held.tag) = (at_ns, tag);
                }
                held.bytes.extend_from_slice(data);
                match begins(&held.bytes) {
                    Beginning::Undecided if held.bytes.len() <= MOST_HELD => return,
                    Beginning::Undecided | Beginning::Other => held.bytes.truncate(before),
                    Beginning::Header(header, length) => {
                        let rest = data.get(length.saturating_sub(before)..);
                        *self = Self::Over(Some(Box::new(Proxied {
                            at_ns: held.at_ns,
                            version: header.version,
                            addresses: header.addresses,
                        })));
                        return give_rest(stretch, rest.unwrap_or_default(), give);
                    }
                }
            }
            // It comes before the first bytes; behind some, nobody waits for an answer before the header is whole.
            Stretch::Turn | Stretch::Frame if before == 0 => return give(stretch),
            Stretch::Turn | Stretch::Frame | Stretch::Hole { .. } => {}
        }
        // There is none: all goes on as it came.
        let held = std::mem::take(held);
        *self = Self::Over(None);
        if !held.bytes.is_empty() {
            give(Stretch::Bytes {
                at_ns: held.at_ns,
                tag: held.tag,
                packet: true,
                websocket: false,
                data: &held.bytes,
            });
        }
        give(stretch);
    }
}

/// Passes on what is behind a header in its last packet.
fn give_rest(stretch: Stretch<'_>, rest: &[u8], give: &mut dyn FnMut(Stretch<'_>)) {
    if let Stretch::Bytes {
        at_ns,
        tag,
        packet,
        websocket,
        ..
    } = stretch
        && !rest.is_empty()
    {
        give(Stretch::Bytes {
            at_ns,
            tag,
            packet,
            websocket,
            data: rest,
        });
    }
}
