//! Bodies that an observer wants are shown without framing, whatever the cuts; what is not there is said.

use headwater_protocols::http1::{
    Connection, Direction, Exchange, Limits, MalformedElement, Observer, RequestHead, ResponseHead,
    Skip, Tail,
};

/// Keeps the bodies of responses with the status 200.
#[derive(Default)]
struct Shown {
    ended: Vec<(String, u64)>,
}

impl Observer for Shown {
    type Request = ();
    type Response = (bool, String, u64);

    fn request(&mut self, _: &RequestHead<'_>) {}
    fn response(&mut self, head: &ResponseHead<'_>) -> Self::Response {
        (head.status == 200, String::new(), 0)
    }
    fn wants_body(&mut self, response: &Self::Response) -> bool {
        response.0
    }
    fn body(&mut self, response: &mut Self::Response, _: u64, data: &[u8]) {
        response.1.push_str(&String::from_utf8_lossy(data));
    }
    fn body_skipped(&mut self, response: &mut Self::Response, length: u64) {
        response.2 += length;
    }
    fn exchange(&mut self, exchange: Exchange<(), Self::Response>) {
        let response = exchange.response.unwrap().value;
        self.ended.push((response.1, response.2));
    }
    fn malformed(&mut self, _: Direction, _: MalformedElement) {}
}

/// What is shown of an answer that comes in pieces of `size`.
fn shown(answer: &[u8], size: usize) -> Vec<(String, u64)> {
    let mut observer = Shown::default();
    let mut connection = Connection::new(Limits::default(), false);
    let ask = b"GET / HTTP/1.1\r\n\r\n";
    connection.bytes(Direction::ToServer, 1, 0, ask, &mut observer);
    for piece in answer.chunks(size) {
        connection.bytes(Direction::ToClient, 2, 0, piece, &mut observer);
    }
    connection.end(
        Direction::ToClient,
        3,
        headwater_protocols::http1::End::Fin,
        &mut observer,
    );
    observer.ended
}

#[test]
fn each_framing_shows_the_same_body() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello world",
    ] {
        for size in 1..answer.len() {
            let expected = [("hello world".to_owned(), 0)];
            assert_eq!(shown(answer.as_bytes(), size), expected, "{answer} {size}");
        }
    }
}

#[test]
fn a_body_that_nobody_wants_is_not_shown() {
    let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    assert_eq!(shown(answer, 7), [(String::new(), 0)]);
}

#[test]
fn bytes_that_are_not_here_are_told() {
    let mut observer = Shown::default();
    let mut connection = Connection::new(Limits::default(), false);
    let ask = b"GET / HTTP/1.1\r\n\r\n";
    connection.bytes(Direction::ToServer, 1, 0, ask, &mut observer);
    let begin = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde";
    connection.bytes(Direction::ToClient, 2, 0, begin, &mut observer);
    let why = (Skip::NotCopied, Tail::Unknown);
    connection.skipped(Direction::ToClient, 3, 2, why.0, why.1, &mut observer);
    connection.bytes(Direction::ToClient, 4, 0, b"h\r\n", &mut observer);
    // Behind the chunk: where the framing stands is not known from here on.
    connection.skipped(Direction::ToClient, 5, 40, why.0, why.1, &mut observer);
    connection.bytes(Direction::ToClient, 6, 0, b"more", &mut observer);
    connection.end(
        Direction::ToClient,
        7,
        headwater_protocols::http1::End::Fin,
        &mut observer,
    );
    assert_eq!(observer.ended, [("abcdeh".to_owned(), 2 + 40 + 4)]);
}
