//! Conversations for other files to cut, join and hide: each step is one frame, or the preface.

use crate::conversation::{C, S, Step};
use crate::frames::{
    END_HEADERS, END_STREAM, Encoder, PADDED, PREFACE, PRIORITY, continuation, data, frame, get,
    goaway, headers, push_promise, reset, settings, settings_ack, status, window_update,
};

pub(crate) fn all() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        ("simple", simple()),
        ("tables", tables()),
        ("grpc", grpc()),
        ("odd frames", odd_frames()),
        ("sizes", sizes()),
    ]
}

fn opening() -> Vec<Step> {
    vec![
        C(PREFACE.to_vec()),
        C(settings(&[(3, 100), (4, 65_535)])),
        S(settings(&[(1, 4096), (5, 16_384)])),
        C(settings_ack()),
        S(settings_ack()),
    ]
}

fn simple() -> Vec<Step> {
    let mut steps = opening();
    steps.extend([
        C(headers(1, END_STREAM, &get("/a"))),
        S(headers(1, 0, &status("200"))),
        S(data(1, 0, b"hello")),
        S(data(1, END_STREAM, b" world")),
    ]);
    steps
}

fn tables() -> Vec<Step> {
    let (mut client, mut server) = (Encoder::new(), Encoder::new());
    let mut steps = opening();
    for round in 0..4 {
        let first = 4 * round + 1;
        let path = format!("/item/{round}");
        let ask = client.block(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "host.example"),
            (":path", &path),
            ("user-agent", "test/1"),
        ]);
        let put = client.block(&[
            (":method", "PUT"),
            (":scheme", "http"),
            (":authority", "host.example"),
            (":path", "/upload"),
            ("user-agent", "test/1"),
            ("x-round", &round.to_string()),
        ]);
        let trailers = client.block(&[("x-checksum", "abc"), ("x-round", &round.to_string())]);
        steps.extend([
            C(headers(first, END_STREAM, &ask)),
            C(headers(first + 2, 0, &put)),
            C(data(first + 2, 0, b"upload")),
        ]);
        let early = server.block(&[(":status", "103"), ("link", "</style>")]);
        let answer = server.block(&[(":status", "404"), ("server", "s/1"), ("x-path", &path)]);
        let accepted = server.block(&[(":status", "201"), ("server", "s/1")]);
        let end = server.block(&[("x-took", "1 ms")]);
        steps.extend([
            S(headers(first, 0, &early)),
            S(headers(first, 0, &answer)),
            S(data(first, 0, b"page")),
            C(headers(first + 2, END_STREAM, &trailers)),
            S(headers(first + 2, 0, &accepted)),
            S(data(first, END_STREAM, b"")),
            S(data(first + 2, 0, b"ok")),
            S(headers(first + 2, END_STREAM, &end)),
        ]);
    }
    steps
}

pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![0];
    message.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    message.extend(bytes);
    message
}

fn grpc() -> Vec<Step> {
    let (mut client, mut server) = (Encoder::new(), Encoder::new());
    let mut steps = opening();
    for stream in [1, 3, 5] {
        let ask = client.block(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/pkg.Service/Method"),
            ("content-type", "application/grpc"),
        ]);
        let answer = server.block(&[(":status", "200"), ("content-type", "application/grpc")]);
        let end = server.block(&[("grpc-status", "0"), ("grpc-message", "")]);
        steps.extend([
            C(headers(stream, 0, &ask)),
            C(data(stream, 0, &message(b"first question"))),
            S(headers(stream, 0, &answer)),
            S(data(stream, 0, &message(b"first answer"))),
            C(data(stream, 0, &message(b"second"))),
            C(data(stream, END_STREAM, b"")),
            S(data(stream, 0, &message(b""))),
            S(headers(stream, END_STREAM, &end)),
        ]);
    }
    steps
}

fn odd_frames() -> Vec<Step> {
    let (mut client, mut server) = (Encoder::new(), Encoder::new());
    let mut steps = opening();
    let ask = client.block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/padded"),
        ("cookie", "a=b"),
    ]);
    let padded = [&[3][..], &[0, 0, 0, 1, 7], &ask, &[0; 3]].concat();
    let flags = END_STREAM | END_HEADERS | PADDED | PRIORITY;
    let long = client.block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/in/three/pieces"),
        ("cookie", "a=b"),
    ]);
    let third = client.block(&[(":method", "GET"), (":scheme", "http"), (":path", "/reset")]);
    let fourth = client.block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/refused"),
    ]);
    let promised = server.block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/pushed"),
    ]);
    let answer = server.block(&[(":status", "200"), ("x-answer", "1")]);
    let pushed = server.block(&[(":status", "200"), ("x-answer", "2")]);
    steps.extend([
        C(frame(1, flags, 1, &padded)),
        C(frame(2, 0, 3, &[0, 0, 0, 1, 5])),
        C(frame(1, END_STREAM, 3, &long[..4])),
        C(continuation(3, 0, &long[4..9])),
        C(continuation(3, END_HEADERS, &long[9..])),
        S(push_promise(1, 2, &promised)),
        C(frame(6, 0, 0, b"pingping")),
        S(frame(6, 1, 0, b"pingping")),
        S(headers(1, 0, &answer)),
        S(data(1, PADDED, b"\x02page\0\0")),
        S(data(1, END_STREAM, b"end")),
        C(headers(5, 0, &third)),
        S(headers(2, 0, &pushed)),
        C(window_update(0, 1000)),
        C(window_update(2, 1000)),
        S(data(2, END_STREAM, b"style")),
        C(reset(5, 8)),
        S(reset(3, 2)),
        C(headers(7, END_STREAM, &fourth)),
        S(frame(0xb, 0, 0, b"unknown")),
        S(goaway(5, 0)),
    ]);
    steps
}

/// Table sizes that go down and up, both ways.
fn sizes() -> Vec<Step> {
    let (mut client, mut server) = (Encoder::new(), Encoder::new());
    let ask = |client: &mut Encoder, path: &str| {
        client.block(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "host.example"),
            (":path", path),
        ])
    };
    let answer = |server: &mut Encoder| server.block(&[(":status", "204"), ("server", "s/1")]);
    let mut steps = opening();
    steps.push(C(headers(1, END_STREAM, &ask(&mut client, "/1"))));
    steps.push(S(headers(1, END_STREAM, &answer(&mut server))));
    // The server lowers it. A block that was on its way still uses the table as it was.
    steps.push(S(settings(&[(1, 60)])));
    steps.push(C(headers(3, END_STREAM, &ask(&mut client, "/1"))));
    steps.push(C(settings_ack()));
    let mut block = client.size(60);
    block.extend(ask(&mut client, "/2"));
    steps.push(C(headers(5, END_STREAM, &block)));
    steps.push(S(headers(3, END_STREAM, &answer(&mut server))));
    steps.push(S(headers(5, END_STREAM, &answer(&mut server))));
    // The client raises the other one.
    steps.push(C(settings(&[(1, 10_000)])));
    steps.push(S(settings_ack()));
    steps.push(C(headers(7, END_STREAM, &ask(&mut client, "/2"))));
    let mut block = server.size(10_000);
    let long = "v".repeat(5000);
    block.extend(server.block(&[(":status", "204"), ("server", "s/1"), ("x-long", &long)]));
    steps.push(S(headers(7, END_STREAM, &block)));
    steps.push(C(headers(9, END_STREAM, &ask(&mut client, "/3"))));
    let block = server.block(&[(":status", "204"), ("x-long", &long)]);
    steps.push(S(headers(9, END_STREAM, &block)));
    steps
}
