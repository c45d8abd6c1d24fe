//! What may be DNS on a port that says nothing, and what may not.

use headwater_protocols::dns::{Reading, looks_like_message, read};

use crate::{
    hostile::Random,
    vectors::{MALFORMED, VECTORS},
};

/// Vectors that are DNS and are given up on purpose: see the module.
const MISSED: &[&str] = &[
    "octets that a name must escape: space, dot, backslash, line feed, zero, 255, an escape sequence",
    "a query without a question",
    "an answer to what could not be read",
    "a notification",
    "an opcode without a name, and the reserved bit",
    "a code without a name",
];

#[test]
fn vectors_are_recognised() {
    for (what, bytes, _) in VECTORS {
        assert_eq!(looks_like_message(bytes), !MISSED.contains(what), "{what}");
    }
    for (what, bytes, _) in MALFORMED
        .iter()
        .filter(|(_, _, line)| line.starts_with("malformed"))
    {
        assert!(!looks_like_message(bytes), "{what}");
    }
}

/// Whatever is recognised is read.
#[test]
fn cut_messages_are_recognised_when_they_can_be_read() {
    for (what, bytes, _) in VECTORS.iter().filter(|(what, ..)| !MISSED.contains(what)) {
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            let readable = matches!(read(cut, bytes.len()), Reading::Message(_));
            assert_eq!(looks_like_message(cut), readable, "{what} at {length}");
        }
    }
}

/// First datagrams of other protocols.
const OTHERS: &[(&str, &[u8])] = &[
    ("NTP", b"\x23\0\x06\xec\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe8\0\0\0\0\0\0\0"),
    ("QUIC", b"\xc3\0\0\0\x01\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\0\0\x44\x9e\x7b\x9a\xec\x34\xd1\xb1\xc9\x8d\xd7\x68"),
    ("STUN", b"\0\x01\0\0\x21\x12\xa4\x42\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"),
    ("DHCP", b"\x01\x01\x06\0\x39\x03\xf3\x26\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b\x82\x01\xfc\x42\0\0\0\0"),
    ("RTP", b"\x80\x60\x12\x34\0\0\0\xa0\xde\xad\xbe\xef\0\0\0\0\0\0\0\0\0\0\0\0"),
    ("SNMP", b"\x30\x29\x02\x01\0\x04\x06public\xa0\x1c\x02\x04\x29\xb9\xf5\x43\x02\x01\0\x02\x01\0"),
    ("syslog", b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8"),
    ("statsd", b"headwater.requests:1|c"),
    ("SIP", b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/UDP nm;branch=foo\r\n\r\n"),
    ("DTLS", b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x5a\x01\0\0\x4e\0\0\0\0\0\0\0\x4e\xfe\xfd"),
    ("WireGuard", b"\x01\0\0\0\x01\x02\x03\x04\xaa\xbb\xcc\xdd\xee\xff\0\x11\x22\x33\x44\x55\x66\x77\x88\x99"),
    ("memcached", b"\0\x01\0\0\0\x01\0\0get a\r\n"),
    ("TFTP", b"\0\x01file\0octet\0"),
    ("NetBIOS names", b"\x80\x94\x01\x10\0\x01\0\0\0\0\0\0\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\x01\0"),
    ("multicast DNS that wants a unicast answer", b"\0\0\0\0\0\x01\0\0\0\0\0\0\x01a\x05local\0\0\x01\x80\x01"),
    ("octets behind the last record", b"\0\x07\x01\x00\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01more"),
    ("a query that answers", b"\0\x07\x01\x00\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01"),
    ("zeros", &[0; 64]),
];

#[test]
fn other_protocols_are_not() {
    for (what, bytes) in OTHERS {
        assert!(!looks_like_message(bytes), "{what}");
    }
}

#[test]
fn random_octets_are_not() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..200_000 {
        let length = random.below(80);
        let bytes: Vec<_> = (0..length).map(|_| random.octet()).collect();
        assert!(!looks_like_message(&bytes), "{bytes:?}");
    }
}
