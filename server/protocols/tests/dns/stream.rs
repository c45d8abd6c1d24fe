//! TCP streams, however they are cut into pieces and whatever was not copied.

use headwater_protocols::dns::{Lost, Standing, Stream};

use crate::vectors::VECTORS;

const MAX_BYTES: usize = 60;

/// Octets, or a count of those that were not copied.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Bytes(&'a [u8]),
    Skipped(u64),
}
use Piece::{Bytes, Skipped};

/// The messages, each with its length on the wire, and how the stream stands before its end.
fn messages(pieces: &[Piece<'_>]) -> (Vec<(Vec<u8>, usize)>, Standing, u64) {
    let mut messages = Vec::new();
    let mut message = |bytes: &[u8], wire_length| messages.push((bytes.to_vec(), wire_length));
    let mut stream = Stream::new(MAX_BYTES);
    let mut standing = stream.standing();
    for piece in pieces {
        standing = match piece {
            Bytes(bytes) => stream.bytes(bytes, &mut message),
            Skipped(count) => stream.skipped(*count, &mut message),
        };
    }
    let lost = stream.lost_bytes();
    stream.end(&mut message);
    (messages, standing, lost)
}

/// All vectors one behind the other, and what must come of them.
fn whole() -> (Vec<u8>, Vec<(Vec<u8>, usize)>) {
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for (_, bytes, _) in VECTORS {
        stream.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        stream.extend(*bytes);
        expected.push((bytes[..bytes.len().min(MAX_BYTES)].to_vec(), bytes.len()));
    }
    (stream, expected)
}

#[test]
fn every_split_in_two_and_octet_by_octet() {
    let (stream, expected) = whole();
    for at in 0..=stream.len() {
        let (first, second) = stream.split_at(at);
        let (messages, standing, lost) = messages(&[Bytes(first), Bytes(second)]);
        assert_eq!(messages, expected, "split at {at}");
        assert_eq!((standing, lost), (Standing::Between, 0));
    }
    let octets: Vec<_> = stream.chunks(1).map(Bytes).collect();
    assert_eq!(messages(&octets).0, expected);
}

/// Any octets but those of a length may be missing: the message that they belong to is cut there, and no other.
#[test]
fn every_hole() {
    let (stream, expected) = whole();
    let mut begin = 0;
    for (number, (_, wire_length)) in expected.iter().enumerate() {
        let end = begin + 2 + wire_length;
        for hole in begin + 2..end {
            for length in [1, end - hole] {
                let skipped = Skipped(u64::try_from(length).unwrap());
                let pieces = [
                    Bytes(&stream[..hole]),
                    skipped,
                    Bytes(&stream[hole + length..]),
                ];
                let (messages, standing, _) = messages(&pieces);
                assert_eq!(standing, Standing::Between);
                assert_eq!(messages.len(), expected.len());
                for (other, message) in messages.iter().enumerate() {
                    let mut expected = expected[other].clone();
                    if other == number {
                        expected.0.truncate(hole - begin - 2);
                    }
                    assert_eq!(*message, expected, "hole of {length} at {hole}");
                }
            }
        }
        begin = end;
    }
}

#[test]
fn a_hole_over_a_length_is_the_end() {
    let (stream, expected) = whole();
    let first = 2 + expected[0].1;
    for (hole, length) in [(0, 1), (1, 1), (first, 2), (first - 3, 4), (5, 60)] {
        let skipped = Skipped(u64::try_from(length).unwrap());
        let rest = &stream[hole + length..];
        let (messages, standing, lost) =
            messages(&[Bytes(&stream[..hole]), skipped, Bytes(rest), Skipped(7)]);
        assert_eq!(
            standing,
            Standing::Lost(Lost::Gap),
            "hole of {length} at {hole}"
        );
        assert_eq!(messages.len(), usize::from(hole > 1));
        let gap = length - (first - hole).min(length) * usize::from(hole > 1);
        assert_eq!(
            lost,
            u64::try_from(gap + rest.len() + 7).unwrap(),
            "hole of {length} at {hole}"
        );
    }
}

#[test]
fn a_length_that_is_none() {
    let (messages, standing, lost) = messages(&[Bytes(b"\0\x0bGET / HTTP/1.1\r\n\r\n")]);
    assert!(messages.is_empty());
    assert_eq!((standing, lost), (Standing::Lost(Lost::Length), 18));
}

#[test]
fn the_end_within_a_message() {
    let (stream, expected) = whole();
    let (messages, standing, _) = messages(&[Bytes(&stream[..20])]);
    assert_eq!(standing, Standing::NeedMore);
    assert_eq!(messages, [(stream[2..20].to_vec(), expected[0].1)]);
}
