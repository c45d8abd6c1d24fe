//! However a stream is cut into pieces, the same exchanges come of it.

use crate::conversation::{C, FIN_C, FIN_S, Recorder, S, Step, observe};

const SAMPLES: &[(&[u8], &[u8])] = &[
    (
        b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\r\nHEAD /c HTTP/1.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 100 C\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: \
          chunked\r\n\r\n5;e=1\r\nhello\r\n0\r\nT: x\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n",
    ),
    (b"\r\n\nGET / HTTP/1.1\nA: b\n c\nD:\n\n", b"HTTP/1.0 200\nX: y\n z\n\nuntil close"),
    (b"GET /a b\xff HTTP/1.1\r\nbad line\r\nA: \x01\r\n\r\n", b"HTTP/1.1 400 Oh\xff no\r\nConnection: close\r\n\r\n"),
    (
        b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ),
    (b"CONNECT h:1 HTTP/1.1\r\n\r\nraw bytes", b"HTTP/1.1 200 OK\r\n\r\nraw bytes"),
    (b"GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\nraw bytes"),
    (b"GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\nbody", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshor"),
    (b"GET / HTTP/1.1\r\nA: b", b""),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\x04\0\0\0\0\0"),
];

#[test]
fn every_split_in_two_and_byte_by_byte() {
    for (requests, responses) in SAMPLES {
        let whole = told(&[C(requests), S(responses), FIN_S, FIN_C]);
        for at in 0..=requests.len() {
            let (first, second) = requests.split_at(at);
            assert_eq!(
                told(&[C(first), C(second), S(responses), FIN_S, FIN_C]),
                whole,
                "request split at {at}"
            );
        }
        for at in 0..=responses.len() {
            let (first, second) = responses.split_at(at);
            assert_eq!(
                told(&[C(requests), S(first), S(second), FIN_S, FIN_C]),
                whole,
                "response split at {at}"
            );
        }
        let bytes: Vec<_> = requests
            .chunks(1)
            .map(C)
            .chain(responses.chunks(1).map(S))
            .chain([FIN_S, FIN_C])
            .collect();
        assert_eq!(told(&bytes), whole, "byte by byte");
    }
}

/// Every prefix is a conversation too: whatever was begun comes to an end, once.
#[test]
fn every_prefix() {
    for (requests, responses) in SAMPLES {
        for at in 0..=responses.len() {
            let (connection, recorder) = observe(&[C(requests), S(&responses[..at]), FIN_C, FIN_S]);
            assert_eq!(connection.open().count(), 0);
            assert_once(&recorder);
        }
        for at in 0..=requests.len() {
            let (connection, recorder) = observe(&[C(&requests[..at]), FIN_C, FIN_S]);
            assert_eq!(connection.open().count(), 0);
            assert_once(&recorder);
        }
    }
}

pub(crate) fn assert_once(recorder: &Recorder) {
    let mut ordinals: Vec<_> = recorder
        .exchanges
        .iter()
        .map(|exchange| exchange.ordinal)
        .collect();
    ordinals.sort_unstable();
    ordinals.dedup();
    assert_eq!(ordinals.len(), recorder.exchanges.len());
    assert_eq!(
        recorder
            .exchanges
            .iter()
            .filter(|exchange| exchange.request.is_some())
            .count(),
        recorder.requests
    );
    assert_eq!(
        recorder
            .exchanges
            .iter()
            .filter(|exchange| exchange.response.is_some())
            .count(),
        recorder.responses
    );
}

/// Lines, request fields, and sizes of the two heads, of each exchange.
type Told = (Vec<String>, Vec<Vec<(String, String)>>, Vec<(u64, u64)>);

fn told(steps: &[Step<'_>]) -> Told {
    let (_, recorder) = observe(steps);
    assert_once(&recorder);
    let fields = |exchange: &headwater_protocols::http1::Exchange<crate::conversation::Head, _>| {
        exchange
            .request
            .as_ref()
            .map(|part| part.value.fields.clone())
            .unwrap_or_default()
    };
    let sizes = recorder.exchanges.iter().map(|exchange| {
        let request = exchange
            .request
            .as_ref()
            .map_or(0, |part| part.header_bytes);
        (
            request,
            exchange
                .response
                .as_ref()
                .map_or(0, |part| part.header_bytes),
        )
    });
    (
        recorder.lines(),
        recorder.exchanges.iter().map(fields).collect(),
        sizes.collect(),
    )
}
