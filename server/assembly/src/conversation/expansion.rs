//! How much longer than on the wire what is stored of an HTTP/2 connection may become.
//!
//! HPACK lets one byte stand for a field of thousands (RFC 7541, 7.1.3 leaves the bound to the receiver), so a client could
//! fill a disk with a thousandth of the bytes. A connection may store four bytes for each that passed, and some in advance;
//! beyond, exchanges go without their heads, and then altogether, and both are counted.

use std::hash::{DefaultHasher, Hasher};

use headwater_model::{Exchange, Gaps, Message, Outcome, Request, Response};
use headwater_redact::HeaderBlock;

/// What a connection has stored.
#[derive(Default)]
pub(crate) struct Expansion {
    spent: u64,
    /// Templates of header blocks met last, which are stored once; by their hashes.
    templates: [u64; MOST_TEMPLATES],
    next: usize,
    /// Of the exchange before, the values that fill them, and the target: what repeats costs nothing in a pack.
    before: [u64; 2],
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
    pub(crate) fn weigh(&mut self, exchange: &Exchange, wire_bytes: u64, must: bool) -> Allowance {
        let allowed = wire_bytes.saturating_mul(FACTOR).saturating_add(IN_ADVANCE);
        let row = if is_packed(exchange) { PACKED } else { ROW };
        let target = exchange.request.as_ref().map_or(0, target_bytes);
        let is_new = self.remember(exchange);
        let row = row + if is_new[1] { target } else { 0 };
        let heads = blocks(exchange)
            .map(|block| {
                let template = if self.is_known(block) {
                    0
                } else {
                    block.template().len()
                };
                let holes = if is_new[0] { block.holes().len() } else { 0 };
                (template + holes) as u64
            })
            .sum::<u64>();
        // Pages that long values leave half empty.
        let heads = heads + heads / 8;
        if self.spent + row + heads <= allowed {
            self.spent += row + heads;
            Allowance::Whole
        } else if must || self.spent + row <= allowed {
            self.spent += row;
            Allowance::WithoutHeads
        } else {
            Allowance::Nothing
        }
    }

    /// Whether the values in the heads, and the target, differ from those of the exchange before.
    fn remember(&mut self, exchange: &Exchange) -> [bool; 2] {
        let holes = hash(blocks(exchange).map(HeaderBlock::holes));
        let target = exchange.request.as_ref().map(|request| &request.target);
        let target = target.map_or(0, |target| {
            hash([target.path(), target.query().unwrap_or_default()].map(str::as_bytes))
        });
        let before = std::mem::replace(&mut self.before, [holes, target]);
        // A row of its own repeats them.
        let repeats = is_packed(exchange);
        [
            !repeats || before[0] != holes,
            !repeats || before[1] != target,
        ]
    }

    fn is_known(&mut self, block: &HeaderBlock) -> bool {
        let template = hash([block.template()]);
        if self.templates.contains(&template) {
            return true;
        }
        if let Some(place) = self.templates.get_mut(self.next) {
            *place = template;
        }
        self.next = (self.next + 1) % MOST_TEMPLATES;
        false
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

fn target_bytes(request: &Request) -> u64 {
    let target = &request.target;
    (target.path().len() + target.query().map_or(0, str::len)) as u64
}

fn blocks(exchange: &Exchange) -> impl Iterator<Item = &HeaderBlock> {
    let request = exchange
        .request
        .as_ref()
        .map(|part: &Request| &part.message);
    let response = exchange
        .response
        .as_ref()
        .map(|part: &Response| &part.message);
    request
        .into_iter()
        .chain(response)
        .flat_map(|message| [Some(&message.headers), message.trailers.as_ref()])
        .flatten()
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish()
}
