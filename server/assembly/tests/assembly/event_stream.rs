//! Responses of server-sent events: counted as far as they are there.

use headwater_assembly::{End, Input, Way};
use headwater_model::EventStream;

use crate::support::{FIN, GET, begin_file, end, file, live, packet, results, turn};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";

#[test]
fn events_of_a_capture_are_counted() {
    let mut subject = file();
    begin_file(&mut subject);
    subject.take(&Input::Turn(packet(1, 10, 0, GET)));
    let mut at = 0;
    let pieces: [(u64, &[u8]); 4] = [
        (20, HEAD),
        (30, b": hello\n\ndata: on"),
        (40, b"e\n\n"),
        (50, b"event: x\ndata: two\n\n"),
    ];
    for (now, bytes) in pieces {
        subject.take(&Input::Turn(packet(2, now, at, bytes)));
        at += bytes.len();
    }
    subject.take(&Input::Close(End {
        at_ns: 60,
        flags: FIN,
        ..end(2, "10.0.0.2:80", "10.0.0.1:5000", Way::Egress)
    }));
    let (_, exchanges) = results(&mut subject);
    let told = exchanges[0].event_stream.as_deref();
    assert_eq!(
        told,
        Some(&EventStream {
            events: Some(2),
            comments: 1,
            is_exact: true,
            first_event_ns: Some(40),
            last_event_ns: Some(50),
        })
    );
}

#[test]
fn what_was_not_copied_makes_it_at_least() {
    let mut subject = live();
    let client = end(1, "10.0.0.1:5000", "192.0.2.1:80", Way::Egress);
    subject.take(&Input::Open(client));
    subject.take(&Input::Turn(turn(1, Way::Egress, 10, GET)));
    let begin = [HEAD, b"data: one\n\n"].concat();
    subject.take(&Input::Turn(turn(1, Way::Ingress, 20, &begin)));
    subject.take(&Input::Close(End {
        at_ns: 60,
        way: Way::Ingress,
        flags: FIN,
        offset: begin.len() as u64 + 5_000,
        last_ns: 50,
        ..client
    }));
    let (_, exchanges) = results(&mut subject);
    let told = exchanges[0].event_stream.as_deref().unwrap();
    assert_eq!((told.events, told.is_exact), (Some(1), false));
    assert_eq!(told.first_event_ns, Some(20));
    let response = exchanges[0].response.as_ref().unwrap();
    assert_eq!(response.message.body_bytes, 5_011);
}

#[test]
fn a_compressed_stream_is_not_counted() {
    let mut subject = live();
    let client = end(1, "10.0.0.1:5000", "192.0.2.1:80", Way::Egress);
    subject.take(&Input::Open(client));
    subject.take(&Input::Turn(turn(1, Way::Egress, 10, GET)));
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\n\n";
    subject.take(&Input::Turn(turn(1, Way::Ingress, 20, head)));
    let (_, exchanges) = results(&mut subject);
    let told = exchanges[0].event_stream.as_deref();
    assert_eq!(told, Some(&EventStream::default()));
}
