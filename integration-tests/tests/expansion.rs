//! What is stored of an attack is bounded by what the attack sends: four bytes for one on the wire, and what a connection may
//! store in advance.

#![allow(clippy::expect_used, reason = "tests")]

use std::net::SocketAddr;

use headwater_integration_tests::{Container, Link, Order, Store, capture, conversation, run};

const STREAMS: u32 = 1_500;
/// What a connection may store in advance, and what a store takes that holds nothing: tables, and pages that are not full.
const FREE: u64 = (64 << 10) + (192 << 10);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let [_, length @ ..] = length.to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Requests whose heads are `block` each, the first with an entry for the table, and each reset at once; a few to a packet.
fn rapid_reset(block: &[u8]) -> Vec<Vec<u8>> {
    let preface = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(4, 0, 0, &[]),
    ]
    .concat();
    let mut packets = vec![preface, frame(4, 0, 0, &[])];
    let mut packet = Vec::new();
    for stream in (0..STREAMS).map(|number| 1 + 2 * number) {
        let mut head = b"\x82\x86\x84".to_vec();
        if stream == 1 {
            // Literal fields with incremental indexing: the authority is entry 63 from here on, a field of 100 bytes
            // entry 62.
            head.extend(b"\x41\x04host\x40\x06x-bomb\x64");
            head.extend([b'v'; 100]);
        } else {
            head.push(0xbf);
        }
        head.extend(block);
        packet.extend(frame(1, 5, stream, &head));
        packet.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
        if packet.len() > 1_000 {
            packets.push(std::mem::take(&mut packet));
            packets.push(Vec::new());
        }
    }
    packets
}

#[test]
fn four_bytes_are_stored_for_one() {
    let client: SocketAddr = "10.0.0.1:5000".parse().expect("an address");
    let server: SocketAddr = "10.0.0.2:80".parse().expect("an address");
    // Nothing else, and the long field five hundred times over.
    for (times, capped) in [(0, false), (500, true)] {
        let packets = rapid_reset(&[0xbe].repeat(times));
        let wire: usize = packets.iter().map(Vec::len).sum();
        let store = Store::new();
        let file = capture(
            Container::Pcap,
            Order::Little,
            Link::Ethernet,
            1_700_000_000,
            &conversation(client, server, &packets),
        );
        let file = store.scratch().write("attack.pcap", file);
        run(&mut store.command(&["replay", &file.to_string_lossy()]));
        let stored = std::fs::metadata(store.path()).expect("a store").len();
        let most = 4 * wire as u64 + FREE;
        println!("{times} fields each: {stored} bytes are stored for {wire} on the wire");
        assert!(
            stored <= most,
            "{stored} bytes are stored for {wire} on the wire, {times} fields each"
        );
        let status = store.ask(&["status"]);
        let kept = status["recorded"]["exchanges"].as_u64();
        let told = status.to_string().contains("expansion_capped");
        assert_eq!(told, capped, "{stored} for {wire}: {status:#}");
        assert!(kept > Some(0), "{status:#}");
    }
}
