//! The header of the PROXY protocol: examples of the specification, every cut, and bytes at random.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use headwater_protocols::proxy::{Beginning, Header, begins};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 of addresses of IPv4, with `more` behind them.
fn version_2(command: u8, more: &[u8]) -> Vec<u8> {
    let length = u8::try_from(12 + more.len()).unwrap();
    let mut all = [SIGNATURE, &[0x20 | command, 0x11, 0, length]].concat();
    all.extend([203, 0, 113, 9, 198, 51, 100, 1, 0xc8, 0x22, 1, 0xbb]);
    all.extend(more);
    all
}

fn stands_for(version: u8) -> Header {
    let addresses = (
        "203.0.113.9:51234".parse().unwrap(),
        "198.51.100.1:443".parse().unwrap(),
    );
    Header {
        version,
        addresses: Some(addresses),
    }
}

#[test]
fn headers_are_read_wherever_they_are_cut() {
    let none = |version| Header {
        version,
        addresses: None,
    };
    let six = Header {
        version: 1,
        addresses: Some((
            "[2001:db8::9]:51234".parse().unwrap(),
            "[2001:db8::1]:443".parse().unwrap(),
        )),
    };
    let all = [
        (
            b"PROXY TCP4 203.0.113.9 198.51.100.1 51234 443\r\n".to_vec(),
            stands_for(1),
        ),
        (
            b"PROXY TCP6 2001:db8::9 2001:db8::1 51234 443\r\n".to_vec(),
            six,
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), none(1)),
        (
            b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
            none(1),
        ),
        (version_2(1, b""), stands_for(2)),
        (version_2(1, b"\x05\0\x04uniq\x04\0\0"), stands_for(2)),
        // A check of the proxy's own.
        (version_2(0, b""), none(2)),
        ([SIGNATURE, b"\x20\0\0\0"].concat(), none(2)),
    ];
    for (header, expected) in all {
        for behind in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0\r"] {
            let bytes = [&header[..], behind].concat();
            assert_eq!(begins(&bytes), Beginning::Header(expected, header.len()));
        }
        for cut in 0..header.len() {
            assert_eq!(begins(&header[..cut]), Beginning::Undecided, "{cut}");
        }
    }
}

#[test]
fn what_is_none_is_something_else() {
    for other in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"POST / HTTP/1.1\r\n",
        b"PROXY / HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROXY TCP4 203.0.113.9 198.51.100.1 65536 443\r\n",
        b"PROXY TCP5 203.0.113.9 198.51.100.1 1 443\r\n",
        b"\r\nGET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\0",
        &[b'P'; 108],
    ] {
        assert_eq!(begins(other), Beginning::Other, "{}", other.escape_ascii());
    }
    let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat();
    assert_eq!(begins(&endless), Beginning::Other);
    let third = [SIGNATURE, b"\x31\x11\0\x0c", &[0; 12]].concat();
    assert_eq!(begins(&third), Beginning::Other);
}

/// Bytes changed at random: no panic, and the same answer however the bytes come.
#[test]
fn damaged_headers_are_no_harm() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    };
    let headers = [
        b"PROXY TCP4 203.0.113.9 198.51.100.1 51234 443\r\nGET".to_vec(),
        b"PROXY TCP6 2001:db8::9 2001:db8::1 51234 443\r\n".to_vec(),
        version_2(1, b"\x05\0\x04uniq\x04\0\0"),
        [SIGNATURE, b"\x21\x31\0\xd8", &[b'/'; 230]].concat(),
    ];
    for round in 0..20_000 {
        let mut bytes = headers[round % headers.len()].clone();
        for _ in 0..=next() % 3 {
            let at = next() % bytes.len();
            bytes[at] = u8::try_from(next() % 256).unwrap();
        }
        bytes.truncate(next() % (bytes.len() + 1));
        headwater_protocols::fuzzing::run("proxy", &bytes);
    }
}
