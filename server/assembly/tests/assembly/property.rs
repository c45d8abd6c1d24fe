//! What holds for any order of packets, and for any packets.

use std::collections::HashSet;

use headwater_assembly::{End, Input, Place, TcpFlags, Turn, Way};
use headwater_model::{Event, Outcome};

use crate::support::{GET, OK, Subject, begin_file, end, file, live, packet, results, turn};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

const POST: &[u8] = b"POST /b HTTP/1.1\r\nHost: h.example\r\nContent-Length: 4\r\n\r\nbody";
const CHUNKED: &[u8] =
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
const TALK: [(u64, &[u8]); 6] = [
    (1, GET),
    (2, OK),
    (1, POST),
    (2, CHUNKED),
    (1, GET),
    (2, OK),
];

type Told = (
    u32,
    Outcome,
    Option<(String, u64, u64)>,
    Option<(Option<u16>, u64, u64)>,
);

fn told(subject: &mut Subject) -> Vec<Told> {
    let (_, exchanges) = results(subject);
    let one = |exchange: headwater_model::Exchange| {
        let request = exchange.request.map(|part| {
            let sizes = (part.message.header_bytes, part.message.body_bytes);
            (part.method.as_str().to_owned(), sizes.0, sizes.1)
        });
        let response = exchange.response.map(|part| {
            let sizes = (part.message.header_bytes, part.message.body_bytes);
            (part.status_code, sizes.0, sizes.1)
        });
        (exchange.ordinal, exchange.outcome, request, response)
    };
    exchanges.into_iter().map(one).collect()
}

#[test]
fn any_cut_order_and_repetition_tells_the_same() {
    let mut plain = file();
    begin_file(&mut plain);
    let mut sent = [0, 0, 0];
    for (at, (cookie, bytes)) in (10..).zip(TALK) {
        let before = &mut sent[usize::try_from(cookie).unwrap()];
        plain.take(&Input::Turn(packet(cookie, at, *before, bytes)));
        *before += bytes.len();
    }
    let expected = told(&mut plain);
    assert_eq!(expected.len(), 3);
    assert!(expected.iter().all(|one| one.1 == Outcome::Complete));

    for seed in 1..=2_000u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut subject = file();
        begin_file(&mut subject);
        let mut sent = [0, 0, 0];
        for (at, (cookie, bytes)) in (10..).zip(TALK) {
            let before = &mut sent[usize::try_from(cookie).unwrap()];
            let mut cuts = Vec::new();
            let mut from = 0;
            while from < bytes.len() {
                let to = (from + 1 + random.below(30)).min(bytes.len());
                cuts.push((from - random.below(from.min(9) + 1), to));
                if random.below(4) == 0 {
                    cuts.push((from, to));
                }
                from = to;
            }
            for place in 1..cuts.len() {
                let other = place - random.below(place.min(4) + 1);
                cuts.swap(place, other);
            }
            for (from, to) in cuts {
                let piece = &bytes[from..to];
                subject.take(&Input::Turn(packet(cookie, at, *before + from, piece)));
            }
            *before += bytes.len();
        }
        assert_eq!(told(&mut subject), expected, "seed {seed}");
    }
}

#[test]
fn garbage_never_panics_and_ends_each_exchange_once() {
    let words: [&[u8]; 8] = [
        GET,
        OK,
        POST,
        CHUNKED,
        b"\r\n\r\n",
        b"HTTP/1.1 ",
        b"\x16\x03\x01\0\xff",
        b"",
    ];
    for seed in 1..=500u64 {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let mut subject = if seed % 2 == 0 { live() } else { file() };
        let mut known = HashSet::new();
        let mut ended = HashSet::new();
        for at_ns in 0..100 {
            let cookie = random.next() % 5;
            let way = [Way::Egress, Way::Ingress][random.below(2)];
            let addresses = ["10.0.0.1:5000", "10.0.0.2:80", "[::1]:80"];
            let some = End {
                at_ns,
                flags: TcpFlags {
                    syn: false,
                    ack: random.below(2) == 0,
                    fin: random.below(2) == 0,
                    rst: random.below(8) == 0,
                },
                offset: random.next() >> random.below(64),
                last_ns: at_ns,
                ..end(
                    cookie,
                    addresses[random.below(3)],
                    addresses[random.below(3)],
                    way,
                )
            };
            match random.below(8) {
                0 => subject.take(&Input::Syn(some)),
                1 => subject.take(&Input::Close(some)),
                2 | 3 => subject.take(&Input::Open(some)),
                4 => subject.tick(at_ns * 100_000_000, |_| None),
                _ => subject.take(&Input::Turn(Turn {
                    offset: random.next() >> random.below(64),
                    number: [None, Some(0), Some(1)][random.below(3)],
                    place: [
                        Place::File,
                        Place::NewTurn,
                        Place::SameTurn,
                        Place::Frame,
                        Place::InFrame,
                        Place::InWebSocketFrame,
                        Place::WebSocketFrame,
                    ][random.below(7)],
                    ..turn(cookie, way, at_ns, words[random.below(8)])
                })),
            }
        }
        subject.finish_all(1_000);
        for event in subject.events() {
            match event {
                Event::Connection(one) => {
                    known.insert(one.key);
                }
                Event::Exchange(one) => {
                    assert!(known.contains(&one.connection), "seed {seed}");
                    assert!(!ended.contains(&one.key), "seed {seed}: {one:?}");
                    if one.outcome != Outcome::Open {
                        ended.insert(one.key);
                    }
                }
                Event::Coverage(_)
                | Event::Dns(_)
                | Event::Process(_)
                | Event::KernelDrops(_)
                | Event::ProcessEnd(_)
                | Event::UdpFlow(_) => {}
            }
        }
    }
}
