//! QUIC: the published packet, names in pieces, and nothing that makes it panic.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

use headwater_protocols::quic::{Beginning, server_name, version};

/// The beginning of the client's packet in RFC 9001, appendix A.2.
const CLIENT: &str = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11\
    d242b123dc9bd8bab936b47d92ec356c0bab7df5976d27cd449f63300099f399\
    1c260ec4c60d17b31f8429157bb35a1282a643a8d2262cad67500cadb8e7378c\
    8eb7539ec4d4905fed1bee1fc8aafba17c750e2c7ace01e6005f80fcb7df6212\
    30c83711b39343fa028cea7f7fb5ff89eac2308249a02252155e2347b63d58c5\
    457afd84d05dfffdb20392844ae812154682e9cf012f9021a6f0be17ddd0c208\
    4dce25ff9b06cde535d0f920a2db1bf362c23e596d11a4f5a6cf3948838a3aec\
    4e15daf8500a6ef69ec4e3feb6b1d98e610ac8b7ec3faf6ad760b7bad1db4ba3\
    485e8a94dc250ae3fdb41ed15fb6a8e5eba0fc3dd60bc8e30c5c4287e53805db";
/// The message in it.
const HELLO: &str = "010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c000004130113020\
    10000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018";

fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| u8::try_from(digit).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

#[test]
fn the_published_packet_tells_its_name() {
    let packet = bytes(CLIENT);
    assert_eq!(version(&packet), Some(1));
    let name = Beginning::default().datagram(&packet);
    assert_eq!(name.as_deref(), Some(&b"example.com"[..]));
}

#[test]
fn no_cut_and_no_flipped_bit_does_harm() {
    let packet = bytes(CLIENT);
    for at in 0..packet.len() {
        let name = Beginning::default().datagram(&packet[..at]);
        assert!(
            name.is_none_or(|name| name == b"example.com"),
            "cut at {at}"
        );
        for bit in [1, 0x20, 0x80] {
            let mut other = packet.clone();
            other[at] ^= bit;
            let mut beginning = Beginning::default();
            for _ in 0..50 {
                let _ = beginning.datagram(&other);
            }
        }
    }
}

#[test]
fn a_message_without_the_name_waits_for_it() {
    let hello = bytes(HELLO);
    let (mut first, mut found) = (0, 0);
    for at in 0..=hello.len() {
        match server_name(&hello[..at]) {
            None => first = at,
            Some(name) => {
                assert_eq!(name, b"example.com", "cut at {at}");
                found += 1;
            }
        }
    }
    assert!(found > 5 && first > 60, "{found} {first}");
    assert_eq!(server_name(b""), None);
    assert_eq!(server_name(&[2; 100]), None);
}

#[test]
fn other_protocols_are_none() {
    for other in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"GET / HTTP/1.1\r\n",
        b"\xc0\x00\x00\x00\x00\x08aaaaaaaaaaaaaaaaaaa",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xc0\0\0\0\x01\x15aaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        assert_eq!(version(other), None, "{other:?}");
    }
}
