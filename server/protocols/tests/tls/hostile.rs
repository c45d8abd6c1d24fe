//! What no honest end sends: nothing panics, what is held is bounded, and nothing is made up.

use headwater_protocols::http1::Direction::{ToClient, ToServer};
use headwater_protocols::tls::Observer;

use crate::support::{ALL, connections, play};

const NAMES: [&str; 5] = [
    "tls12",
    "tls13",
    "tls13-retried",
    "tls12-client-certificate",
    "tls12-expired",
];

#[test]
fn any_byte_may_be_another() {
    for name in NAMES {
        let connection = connections(name).remove(0);
        for (at, segment) in connection.iter().enumerate().take(4) {
            for place in 0..segment.payload.len() {
                let mut changed = connection.clone();
                changed[at].payload[place] ^= 1 << (place % 8);
                for how in [ALL[0], ALL[2]] {
                    let observer = play(&changed, how);
                    let _ = observer.failure(true);
                }
            }
        }
    }
}

#[test]
fn anything_may_be_missing() {
    for name in NAMES {
        let connection = connections(name).remove(0);
        for at in 0..connection.len().min(5) {
            let missing = &connection[at];
            for from in (0..missing.payload.len()).step_by(7) {
                let mut observer = Observer::default();
                for (place, segment) in connection.iter().enumerate() {
                    let (direction, at_ns) = (segment.direction, segment.at_ns);
                    if place != at {
                        observer.bytes(direction, at_ns, &segment.payload);
                        continue;
                    }
                    observer.bytes(direction, at_ns, &segment.payload[..from]);
                    let rest = segment.payload.len() - from;
                    observer.skipped(direction, at_ns, rest.min(9) as u64);
                    observer.bytes(direction, at_ns, &segment.payload[from + rest.min(9)..]);
                }
                // What is known may be less; the handshake did not fail.
                if name != "tls12-expired" {
                    assert_eq!(observer.failure(true), None, "{name} {at} {from}");
                }
            }
        }
    }
}

#[test]
fn a_message_without_an_end_is_not_held() {
    let mut observer = Observer::default();
    observer.bytes(ToServer, 1, &[0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff]);
    observer.bytes(ToServer, 1, &vec![0; 0x4000 - 4]);
    for _ in 0..100 {
        for direction in [ToServer, ToClient] {
            observer.bytes(direction, 2, &[0x16, 3, 1, 0x40, 0]);
            observer.bytes(direction, 2, &vec![11; 0x4000]);
        }
        assert!(
            observer.held_bytes() <= 52 << 10,
            "{}",
            observer.held_bytes()
        );
    }
    observer.let_go();
    assert_eq!(observer.held_bytes(), 0);
}
