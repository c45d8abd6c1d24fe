//! HTTP/1: every head that was read is handed over once, within bounds, and nothing counts more bytes than passed.
#![expect(clippy::indexing_slicing, reason = "a pair of counts, by direction")]

use std::collections::BTreeSet;

use super::script::{Kind, Script, Step};
use crate::http1::{
    Connection, Direction, End, Exchange, Limits, MalformedElement, Observer, RequestHead,
    ResponseHead, Skip, Tail,
};

const LIMITS: Limits = Limits {
    max_head_bytes: 256,
    max_pipelined: 4,
};

pub(super) fn run(data: &[u8]) {
    let script = Script::read(data);
    let mut counter = Counter::default();
    let mut connection = Connection::new(LIMITS, script.switches & 2 != 0);
    let why = match script.switches & 4 {
        0 => Skip::NotCopied,
        _ => Skip::RecordsLost,
    };
    let mut passed = [0; 2];
    for (at_ns, step) in (1..).zip(&script.steps) {
        let direction = direction(*step);
        let count = step.bytes.len() as u64;
        passed[usize::from(step.side)] += count;
        match step.kind {
            Kind::Mark => connection.turn(direction),
            Kind::Hidden if count > 0 => {
                let tail = if step.bytes.ends_with(b"0\r\n\r\n") {
                    Tail::LastChunk
                } else {
                    Tail::Unknown
                };
                connection.skipped(direction, at_ns, count, why, tail, &mut counter);
            }
            Kind::Bytes | Kind::Hidden => {
                connection.bytes(direction, at_ns, 0, step.bytes, &mut counter);
            }
        }
        // The limit, a response without request, and the answer to one that was given early.
        assert!(connection.open().count() <= LIMITS.max_pipelined + 2);
    }
    connection.end(Direction::ToServer, 0, End::Fin, &mut counter);
    connection.end(Direction::ToClient, 0, End::Fin, &mut counter);
    assert_eq!(connection.open().count(), 0);
    assert_eq!(counter.heads, counter.handed_over);
    assert!(counter.bytes[0] <= passed[0] && counter.bytes[1] <= passed[1]);
}

fn direction(step: Step<'_>) -> Direction {
    if step.side {
        Direction::ToClient
    } else {
        Direction::ToServer
    }
}

/// Heads and bytes of requests, then of responses.
#[derive(Default)]
struct Counter {
    heads: [u64; 2],
    handed_over: [u64; 2],
    bytes: [u64; 2],
    ordinals: BTreeSet<u32>,
}

impl Observer for Counter {
    type Request = ();
    type Response = ();

    fn request(&mut self, head: &RequestHead<'_>) {
        self.heads[0] += 1;
        head.fields.iter().for_each(drop);
    }
    fn response(&mut self, head: &ResponseHead<'_>) {
        self.heads[1] += 1;
        head.fields.iter().for_each(drop);
    }
    fn exchange(&mut self, exchange: Exchange<(), ()>) {
        assert!(self.ordinals.insert(exchange.ordinal), "handed over twice");
        if let Some(part) = exchange.request {
            self.handed_over[0] += 1;
            self.bytes[0] += part.header_bytes + part.body_bytes;
        }
        if let Some(part) = exchange.response {
            self.handed_over[1] += 1;
            self.bytes[1] += part.header_bytes + part.body_bytes;
        }
    }
    fn malformed(&mut self, _: Direction, _: MalformedElement) {}
}
