//! However a direction is cut into pieces, it says the same; every prefix is a direction too.

use headwater_protocols::websocket::Direction::{self, ToClient, ToServer};

use crate::frame::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, Step, TEXT, counts, frame, observe,
};

pub(crate) fn samples(direction: Direction) -> Vec<Vec<u8>> {
    let write = |frames: &[(u8, &[u8])]| -> Vec<u8> {
        frames
            .iter()
            .flat_map(|(first, payload)| frame(direction, *first, payload))
            .collect()
    };
    vec![
        write(&[
            (FIN | TEXT, b"Hello"),
            (FIN | BINARY, b""),
            (FIN | PING, b"p"),
            (FIN | PONG, b""),
        ]),
        write(&[
            (TEXT, b"Hel"),
            (FIN | PING, b"ping"),
            (CONTINUATION, b""),
            (FIN | CONTINUATION, b"lo"),
            (FIN | RSV1 | TEXT, b"\xf2\x48\xcd"),
            (FIN | CLOSE, b"\x03\xe9going away"),
        ]),
        write(&[(FIN | BINARY, &[b'x'; 126]), (FIN | CLOSE, b"")]),
        write(&[
            (FIN | 3, b"reserved"),
            (FIN | CONTINUATION, b"a"),
            (CLOSE, b"1"),
            (TEXT, b"behind"),
        ]),
        b"\x82\xff\x80\0\0\0\0\0\0\x01abcdefgh".to_vec(),
    ]
}

#[test]
fn every_split_in_two_and_byte_by_byte() {
    for direction in [ToServer, ToClient] {
        for sample in samples(direction) {
            let whole = observe(direction, &[Step::Bytes(&sample)]);
            for at in 0..=sample.len() {
                let (first, second) = sample.split_at(at);
                let steps = [Step::Bytes(first), Step::Bytes(second)];
                assert_eq!(observe(direction, &steps), whole, "split at {at}");
            }
            let bytes: Vec<_> = sample.chunks(1).map(Step::Bytes).collect();
            assert_eq!(observe(direction, &bytes), whole, "byte by byte");
        }
    }
}

#[test]
fn every_prefix_counts_no_more() {
    for direction in [ToServer, ToClient] {
        for sample in samples(direction) {
            let mut before = [0; 9];
            for at in 0..=sample.len() {
                let (_, tally, _) = observe(direction, &[Step::Bytes(&sample[..at])]);
                assert!(
                    before
                        .iter()
                        .zip(counts(tally))
                        .all(|(before, now)| *before <= now)
                );
                before = counts(tally);
            }
        }
    }
}
