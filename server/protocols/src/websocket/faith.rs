//! How far a place in the stream is believed.
//!
//! Owns: what it takes to believe bytes at the start of a packet to be frames, and to doubt them again. Refuses: to count
//! them; frames before the one that decides are left out, since they were not frames for sure when they passed.

use super::header::{Header, Opcode};
use super::{Direction, close};

/// So many plausible headers in a row are a place. Of random bytes one in twenty is plausible, and this many in a row one
/// in 160,000; a packet that begins where a frame before it ended says as much sooner.
const HEADERS_IN_A_ROW: u8 = 4;

/// Why the place is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Faith {
    /// It was followed from a place that was known or found.
    Known,
    /// It is the start of a packet, no more.
    PacketStart,
    /// So many plausible headers in a row, the first of them at the start of a packet.
    Headers(u8),
}

/// Where a header stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) direction: Direction,
    /// RSV1 may be set.
    pub(super) compression: bool,
    /// It begins a packet.
    pub(super) packet: bool,
    /// What is here of the bytes behind it.
    pub(super) behind: &'a [u8],
}

impl Faith {
    /// What is believed with one more header, on a direction whose place was lost before; `None` when it is no header,
    /// and the place none either.
    pub(super) fn weigh(self, header: Header, standing: Standing<'_>) -> Option<Self> {
        let Standing {
            direction,
            compression,
            packet,
            behind,
        } = standing;
        let plausible = match self {
            Self::Known => header.malformed(direction, compression).next().is_none(),
            Self::PacketStart | Self::Headers(_) => header.is_plausible(direction, compression),
        };
        if !plausible {
            return None;
        }
        // Nothing follows a close frame that could confirm it, so what it says must.
        let last = header.opcode() == Opcode::Close && close::is_plausible(header, behind);
        Some(match self {
            Self::PacketStart if !last => Self::Headers(1),
            Self::Headers(seen) if !last && !packet && seen + 1 < HEADERS_IN_A_ROW => {
                Self::Headers(seen + 1)
            }
            Self::Known | Self::PacketStart | Self::Headers(_) => Self::Known,
        })
    }
}
