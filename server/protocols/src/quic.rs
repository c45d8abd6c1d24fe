//! QUIC (RFC 9000) as far as it can be read without its secrets: the version of a long header, and the name of the server
//! (SNI) in the client's first message, whose protection anybody can take off (RFC 9001, section 5.2).
//!
//! Owns: recognition, the keys of Initial packets, the putting together of the client's first message, and its name. Refuses:
//! to check the packets' seals. Their keys are public, so that a seal proves nothing; what is no TLS message is found out.
//! Versions 1 and 2 and the drafts from 29 on; of others the version alone.
//!
//! **Invariant**: what is held of a flow is bounded (`MAX_HELLO_BYTES`), and so is the work for a datagram.

mod hello;
mod initial;
mod protection;

use initial::Packet;
use protection::Keys;

pub use hello::server_name;

/// What is kept of a client's first message.
const MAX_HELLO_BYTES: usize = 8 << 10;
/// Pieces of it that are kept apart.
const MAX_PIECES: usize = 32;
/// Packets looked at in one datagram.
const MAX_PACKETS: usize = 4;

/// The version of a packet with a long header (RFC 9000, section 17.2), if that is what a datagram begins with and the version
/// is one that has been in use.
pub fn version(datagram: &[u8]) -> Option<u32> {
    let (head, _) = datagram.split_first_chunk::<6>()?;
    let [form, a, b, c, d, id_length] = *head;
    let version = u32::from_be_bytes([a, b, c, d]);
    // Version 1, version 2 (RFC 9369), the drafts, and Google's own numbers.
    let is_used = version == 1
        || version == protection::VERSION_2
        || version >> 8 == 0x00ff_0000
        || version >> 24 == 0x51;
    (form & 0xc0 == 0xc0 && id_length <= 20 && is_used).then_some(version)
}

/// The beginning of a flow, as its client sent it.
#[derive(Default)]
pub struct Beginning {
    keys: Option<Keys>,
    /// Pieces of the client's first message by their place in it.
    pieces: Vec<(usize, Vec<u8>)>,
    held: usize,
}

impl std::fmt::Debug for Beginning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Beginning")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl Beginning {
    /// A datagram of the client's. The name of the server, once enough was seen to tell it.
    pub fn datagram(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut rest = datagram;
        for _ in 0..MAX_PACKETS {
            let Some((packet, behind)) = Packet::read(rest) else {
                break;
            };
            rest = behind;
            // Later packets of the client may bear another id; the keys stay those of the first.
            let keys = match &self.keys {
                Some(keys) => keys,
                None => self
                    .keys
                    .insert(Keys::of(packet.version, packet.destination)?),
            };
            let Some(payload) = packet.open(keys) else {
                continue;
            };
            let (pieces, held) = (&mut self.pieces, &mut self.held);
            initial::crypto(&payload, |offset, data| {
                let is_near = offset.saturating_add(data.len()) <= MAX_HELLO_BYTES;
                if is_near && *held + data.len() <= MAX_HELLO_BYTES && pieces.len() < MAX_PIECES {
                    *held += data.len();
                    pieces.push((offset, data.to_vec()));
                }
            });
        }
        self.pieces.sort_by_key(|(offset, _)| *offset);
        let mut message: Vec<u8> = Vec::new();
        for (offset, data) in &self.pieces {
            if *offset > message.len() {
                break;
            }
            message.extend(data.get(message.len() - offset..).unwrap_or_default());
        }
        server_name(&message).map(<[u8]>::to_vec)
    }
}
