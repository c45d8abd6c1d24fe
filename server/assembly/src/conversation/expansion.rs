//! How much longer than on the wire what is stored of an HTTP/2 connection may become.
//!
//! HPACK lets one byte stand for a field of thousands (RFC 7541, 7.1.3 leaves the bound to the receiver), so a client could
//! fill a disk with a thousandth of the bytes. A connection may store four bytes for each that passed, and some in advance;
//! beyond, exchanges go without their heads, and then altogether, and both are counted.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use headwater_model::{Exchange, Gaps, Message, Outcome};
use headwater_redact::HeaderBlock;

/// What a connection has stored.
#[derive(Default)]
pub(crate) struct Expansion {
    spent: u64,
    /// Templates of header blocks stored last, each of which is stored once; by their hashes.
    templates: [u64; MOST_TEMPLATES],
    next: usize,
    hash: RandomState,
}

/// What may be stored of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// All of it.
    Whole,
    /// All but its header fields and trailers.
    WithoutHeads,
    /// Nothing.
    Nothing,
}

/// Bytes stored for each on the wire.
const FACTOR: u64 = 4;
/// Bytes that any connection may store: heads that are compressed well come before the bodies that make up for them.
const IN_ADVANCE: u64 = 64 << 10;
/// Of an exchange without any text: a row of its own, which failures have, and its share of a pack.
const ROW: u64 = 96;
const PACKED: u64 = 24;
const MOST_TEMPLATES: usize = 8;

impl Expansion {
    /// Weighs an exchange of a connection on which so many bytes have passed. `must` is one that the store has already.
    /// That a pack tells what repeats once is not counted on: what stands before an exchange there may be another
    /// connection's.
    pub(crate) fn weigh(&mut self, exchange: &Exchange, wire_bytes: u64, must: bool) -> Allowance {
        let allowed = wire_bytes.saturating_mul(FACTOR).saturating_add(IN_ADVANCE);
        let row = if is_packed(exchange) { PACKED } else { ROW } + text_bytes(exchange);
        let mut heads = 0;
        let mut new = [None; MOST_BLOCKS];
        for (block, new) in blocks(exchange).zip(&mut new) {
            heads += block.holes().len();
            let template = self.hash.hash_one(block.template());
            if !self.templates.contains(&template) {
                heads += block.template().len();
                *new = Some(template);
            }
        }
        // Pages that long values leave half empty.
        let heads = (heads + heads / 8) as u64;
        if self.spent + row + heads <= allowed {
            self.spent += row + heads;
            new.into_iter().flatten().for_each(|new| self.remember(new));
            Allowance::Whole
        } else if must || self.spent + row <= allowed {
            self.spent += row;
            Allowance::WithoutHeads
        } else {
            Allowance::Nothing
        }
    }

    fn remember(&mut self, template: u64) {
        if let Some(place) = self.templates.get_mut(self.next) {
            *place = template;
        }
        self.next = (self.next + 1) % MOST_TEMPLATES;
    }
}

/// Takes header fields and trailers away.
pub(crate) fn strip(exchange: &mut Exchange) {
    let strip = |message: &mut Message| {
        message.headers = HeaderBlock::default();
        message.trailers = None;
    };
    if let Some(request) = &mut exchange.request {
        strip(&mut request.message);
        exchange.gaps = exchange.gaps.with(Gaps::REQUEST_HEAD_CUT);
    }
    if let Some(response) = &mut exchange.response {
        strip(&mut response.message);
        exchange.gaps = exchange.gaps.with(Gaps::RESPONSE_HEAD_CUT);
    }
}

/// Whether the store keeps it among others, by what differs from the one before it.
fn is_packed(exchange: &Exchange) -> bool {
    let status = exchange.response.as_ref().and_then(|part| part.status_code);
    exchange.outcome == Outcome::Complete && status.is_some_and(|status| status < 400)
}

/// What stands in columns of its own.
fn text_bytes(exchange: &Exchange) -> u64 {
    let request = exchange.request.as_ref().map_or(0, |request| {
        let target = &request.target;
        let optional = [target.query(), target.authority()];
        let optional = optional.into_iter().flatten().map(str::len).sum::<usize>();
        request.method.as_str().len() + target.path().len() + optional
    });
    let message = exchange
        .grpc
        .as_ref()
        .and_then(|grpc| grpc.message.as_ref());
    (request + message.map_or(0, |message| message.as_str().len())) as u64
}

/// Heads and trailers, of the request and of the response.
fn blocks(exchange: &Exchange) -> impl Iterator<Item = &HeaderBlock> {
    let request = exchange.request.as_ref().map(|part| &part.message);
    let response = exchange.response.as_ref().map(|part| &part.message);
    request
        .into_iter()
        .chain(response)
        .flat_map(|message| [Some(&message.headers), message.trailers.as_ref()])
        .flatten()
}
const MOST_BLOCKS: usize = 4;
