//! Bytes from strangers: no panic, bounded memory, every exchange once.

use headwater_protocols::http1::{
    Connection, Direction, End, Exchange, Limits, MalformedElement, Observer, RequestHead,
    ResponseHead, Skip, Tail,
};

/// Counts, and touches every byte that it is shown.
#[derive(Default)]
struct Counter {
    requests: u64,
    responses: u64,
    ended_requests: u64,
    ended_responses: u64,
    bytes: usize,
}

impl Observer for Counter {
    type Request = ();
    type Response = ();
    fn request(&mut self, head: &RequestHead<'_>) {
        self.requests += 1;
        self.bytes += head.method.len() + head.target.len();
        self.bytes += head
            .fields
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>();
    }
    fn response(&mut self, head: &ResponseHead<'_>) {
        self.responses += 1;
        self.bytes += head.reason.len()
            + head
                .fields
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>();
    }
    fn exchange(&mut self, exchange: Exchange<(), ()>) {
        self.ended_requests += u64::from(exchange.request.is_some());
        self.ended_responses += u64::from(exchange.response.is_some());
    }
    fn malformed(&mut self, _: Direction, _: MalformedElement) {}
}

/// Xorshift: the same bytes in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

const WORDS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\n",
    b"HEAD /a HTTP/1.0\r\n",
    b"CONNECT h:1 HTTP/1.1\r\n",
    b"POST",
    b" ",
    b"/",
    b"HTTP/1.1",
    b"HTTP/1.1 ",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 204 No\r\n",
    b"HTTP/1.1 100 C\r\n\r\n",
    b"HTTP/1.1 301 M\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"Content-Length: ",
    b"Content-Length: 3\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: ",
    b"chunked, gzip",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"ffffffffffffffff\r\n",
    b"a: b\r\n",
    b" folded\r\n",
    b":",
    b"\0",
    b"\xff",
    b"x",
    b"7",
    b"GET / HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
];

fn piece(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=random.below(6) {
        match random.below(12) {
            0 => bytes
                .extend((0..random.below(40)).map(|_| u8::try_from(random.below(256)).unwrap())),
            _ => bytes.extend_from_slice(WORDS[random.below(WORDS.len())]),
        }
    }
    bytes
}

#[test]
fn random_pieces() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let limits = Limits {
        max_head_bytes: 512,
        max_pipelined: 8,
    };
    let mut counter = Counter::default();
    let mut connection = Connection::new(limits, false);
    for at_ns in 0..200_000 {
        let direction = if random.below(2) == 0 {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        match random.below(60) {
            0 => connection.turn(direction),
            1..4 => {
                let why = [Skip::NotCopied, Skip::RecordsLost, Skip::CaptureHole][random.below(3)];
                let tail = [Tail::Unknown, Tail::LastChunk][random.below(2)];
                let count = [0, 3, 20, 5000, u64::MAX][random.below(5)];
                connection.skipped(direction, at_ns, count, why, tail, &mut counter);
            }
            4 => {
                let how = [End::Fin, End::Reset, End::TimedOut, End::Evicted][random.below(4)];
                connection.end(direction, at_ns, how, &mut counter);
            }
            _ => connection.bytes(direction, at_ns, 0, &piece(&mut random), &mut counter),
        }
        // The limit, a response without request, and the answer to one that was given early.
        assert!(connection.open().count() <= limits.max_pipelined + 2);
        if random.below(40) == 0 {
            connection.end(direction, at_ns, End::Evicted, &mut counter);
            assert_eq!(connection.open().count(), 0);
            connection = Connection::new(limits, random.below(3) == 0);
        }
    }
    connection.end(Direction::ToServer, 0, End::Evicted, &mut counter);
    assert_eq!(
        (counter.requests, counter.responses),
        (counter.ended_requests, counter.ended_responses)
    );
    assert!(
        counter.requests > 1000 && counter.responses > 1000,
        "the bytes are too random to be of use"
    );
}

#[test]
fn a_head_without_end_is_bounded() {
    let mut counter = Counter::default();
    let mut connection = Connection::new(Limits::default(), false);
    connection.bytes(
        Direction::ToServer,
        0,
        0,
        b"GET / HTTP/1.1\r\n",
        &mut counter,
    );
    for at_ns in 0..10_000 {
        connection.bytes(
            Direction::ToServer,
            at_ns,
            0,
            b"Name: some value of a field\r\n",
            &mut counter,
        );
    }
    assert_eq!(counter.requests, 1);
    assert!(counter.bytes <= Limits::default().max_head_bytes);
}
