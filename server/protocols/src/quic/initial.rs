//! One Initial packet: its header, its payload, and the pieces of TLS in that (RFC 9000, sections 17.2.2 and 19).

use super::protection::{Keys, VERSION_2};

/// A packet, protected.
pub(super) struct Packet<'a> {
    pub(super) version: u32,
    /// Id of the destination's choice or, at first, the client's.
    pub(super) destination: &'a [u8],
    first: u8,
    /// From the packet number on, as far as it is here.
    body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads an Initial packet at the front of `bytes`, and gives what stands behind it.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let version = super::version(bytes)?;
        let mut reader = Reader(bytes);
        let [first, ..] = *reader.array::<5>()?;
        // RFC 9369, section 3.2: version 2 numbers the types anew.
        let kind = first >> 4 & 3;
        if kind != u8::from(version == VERSION_2) {
            return None;
        }
        let length = usize::from(reader.byte()?);
        let destination = reader.take(length)?;
        let length = usize::from(reader.byte()?);
        reader.take(length)?;
        let token = reader.integer()?;
        reader.take(usize::try_from(token).ok()?)?;
        let length = usize::try_from(reader.integer()?).ok()?;
        let (body, behind) = reader.0.split_at_checked(length).unwrap_or((reader.0, &[]));
        let packet = Self {
            version,
            destination,
            first,
            body,
        };
        Some((packet, behind))
    }

    /// The payload without its protection, and with its seal, which is noise now.
    pub(super) fn open(&self, keys: &Keys) -> Option<Vec<u8>> {
        // Where the sample stands does not depend on the length of the number (RFC 9001, section 5.4.2).
        let sample = self.body.get(4..)?.first_chunk::<16>()?;
        let [mask, hidden @ ..] = keys.mask(*sample);
        let length = usize::from((self.first ^ mask & 0x0f) & 3) + 1;
        let (number, payload) = self.body.split_at_checked(length)?;
        let number = number.iter().zip(hidden).fold(0, |number, (byte, mask)| {
            number << 8 | u64::from(byte ^ mask)
        });
        let mut payload = payload.to_vec();
        keys.open(number, &mut payload);
        Some(payload)
    }
}

/// Gives the pieces of TLS in a payload, each with its place in the stream. Stops at a frame that an Initial has not, or that is
/// not whole.
pub(super) fn crypto(payload: &[u8], mut piece: impl FnMut(usize, &[u8])) {
    let mut reader = Reader(payload);
    while let Some(kind) = reader.byte() {
        let read = match kind {
            // PADDING, PING.
            0 | 1 => Some(()),
            2 | 3 => acknowledgement(&mut reader, kind == 3),
            6 => (|| {
                let offset = usize::try_from(reader.integer()?).ok()?;
                let length = usize::try_from(reader.integer()?).ok()?;
                // What was cut is as good as lost, but for what is here.
                let data = reader.0.get(..length).unwrap_or(reader.0);
                piece(offset, data);
                reader.take(length).map(|_| ())
            })(),
            _ => None,
        };
        if read.is_none() {
            return;
        }
    }
}

/// Passes over an ACK frame (section 19.3).
fn acknowledgement(reader: &mut Reader<'_>, with_counts: bool) -> Option<()> {
    reader.integer()?;
    reader.integer()?;
    let ranges = reader.integer()?;
    reader.integer()?;
    for _ in 0..ranges.min(MAX_RANGES) {
        reader.integer()?;
        reader.integer()?;
    }
    if with_counts {
        for _ in 0..3 {
            reader.integer()?;
        }
    }
    Some(())
}

/// Ranges passed over in an ACK.
const MAX_RANGES: u64 = 64;

/// What has not been read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    /// An integer of variable length (section 16).
    fn integer(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let more = (1_usize << (first >> 6)) - 1;
        let rest = self.take(more)?;
        let front = u64::from(first & 0x3f);
        Some(
            rest.iter()
                .fold(front, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }
}
