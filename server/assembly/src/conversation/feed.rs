//! The bytes of a conversation on their way to its dialect.
//!
//! Owns: the translation of stretches into what a dialect is told. Does not know where they come from.

use headwater_protocols::http1;

use super::Conversation;
use crate::{
    heads::Heads,
    stream::{Missing, Stream, Stretch},
};

impl Conversation {
    /// What a socket tells: of a TLS connection whose plaintext is known only its bytes are counted, and its handshake is read.
    pub(super) fn with_stream(
        &mut self,
        party: usize,
        heads: &mut Heads,
        act: impl FnOnce(&mut Stream, &mut dyn FnMut(Stretch<'_>)),
    ) {
        let (joined, is_read) = (self.joined_midstream, self.plaintext.is_none());
        let Some(direction) = self.direction(party) else {
            return;
        };
        let Some(mut stream) = self.streams.get_mut(party).map(std::mem::take) else {
            return;
        };
        // Back when both are through with it.
        let mut watch = std::mem::take(&mut self.tls);
        let mut preamble = std::mem::take(&mut self.preamble);
        let act = |stream: &mut Stream, give: &mut dyn FnMut(Stretch<'_>)| {
            act(stream, &mut |stretch| {
                preamble.pass(direction, stretch, give);
            });
        };
        let act = watch.seeing(direction, &self.dialect, act);
        if is_read {
            self.feed(party, joined, heads, |give| act(&mut stream, give));
        } else {
            act(&mut stream, &mut |_| {});
        }
        if let Some(place) = self.streams.get_mut(party) {
            *place = stream;
        }
        self.tls = watch;
        self.changed |= self.tls.has_news();
        self.changed |= self.preamble.told().is_none() && preamble.told().is_some();
        self.preamble = preamble;
    }

    /// Feeds the dialect with what `party` said. `joined`: the beginning was not seen.
    pub(super) fn feed(
        &mut self,
        party: usize,
        joined: bool,
        heads: &mut Heads,
        act: impl FnOnce(&mut dyn FnMut(Stretch<'_>)),
    ) {
        let Some(direction) = self.direction(party) else {
            return;
        };
        heads.wants_host = self.host.is_none();
        let live = self.live;
        let is_dns_port = self
            .client
            .and_then(|client| self.parties.get(client))
            .is_some_and(|client| client.peer.port() == crate::dns::PORT);
        let dialect = &mut self.dialect;
        act(&mut |stretch| match stretch {
            Stretch::Bytes {
                at_ns,
                tag,
                packet,
                websocket,
                data,
            } => {
                dialect.become_dns(data, is_dns_port);
                if packet {
                    dialect.packet(direction);
                }
                if websocket && !dialect.is_websocket() {
                    // By their looks alone, or the handshake was lost: they tell nothing.
                    let why = (http1::Skip::NotCopied, http1::Tail::Unknown);
                    dialect.skipped(direction, at_ns, data.len() as u64, why, heads);
                } else {
                    dialect.bytes(direction, at_ns, tag, data, joined, heads);
                }
            }
            Stretch::Frame => dialect.frame(direction, joined),
            Stretch::Turn => dialect.turn(direction),
            Stretch::Hole { at_ns, length, why } => {
                let why = match why {
                    Missing::NotCopied { last_chunk: true } => {
                        (http1::Skip::NotCopied, http1::Tail::LastChunk)
                    }
                    Missing::NotCopied { last_chunk: false } => {
                        (http1::Skip::NotCopied, http1::Tail::Unknown)
                    }
                    Missing::Lost if live => (http1::Skip::RecordsLost, http1::Tail::Unknown),
                    Missing::Lost => (http1::Skip::CaptureHole, http1::Tail::Unknown),
                };
                dialect.skipped(direction, at_ns, length, why, heads);
            }
        });
        if self.dialect.was_reversed() {
            self.client = self.client.map(|client| 1 - client);
            self.changed = true;
        }
        let is_read = self.protocol.is_none() || self.protocol == Some("http");
        if is_read || self.plaintext.is_some() && self.protocol == Some("tls") {
            let name = self.dialect.name(direction);
            self.changed |= name.is_some() && name != self.protocol;
            self.protocol = name.or(self.protocol);
        }
    }
}
