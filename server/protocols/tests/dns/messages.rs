//! What messages say, whole, cut and wrong.

use headwater_protocols::dns::{Class, Opcode, Rcode, Reading, Type, read};

use crate::{
    telling::{line, message},
    vectors::{MALFORMED, VECTORS},
};

#[test]
fn every_vector() {
    for (what, bytes, expected) in VECTORS.iter().chain(MALFORMED) {
        assert_eq!(line(bytes, bytes.len()), *expected, "{what}");
    }
}

/// A prefix of a datagram, when the rest was not copied, is cut and never wrong; the question is there as soon as its
/// octets are, and what is there is the same as in the whole.
#[test]
fn every_prefix_of_every_vector() {
    for (what, bytes, _) in VECTORS {
        let whole = message(bytes);
        let question_end = question_end(bytes);
        for length in 0..bytes.len() {
            match read(&bytes[..length], bytes.len()) {
                Reading::Message(cut) => {
                    assert!(length >= question_end, "{what} at {length}");
                    assert!(cut.answers_cut, "{what} at {length}");
                    assert_eq!(cut.flaw, None, "{what} at {length}");
                    assert_eq!(
                        (cut.id, cut.flags, &cut.question),
                        (whole.id, whole.flags, &whole.question)
                    );
                    let addresses = &cut.answers.addresses;
                    assert!(whole.answers.addresses.starts_with(addresses));
                    assert!(whole.answers.aliases.starts_with(&cut.answers.aliases));
                }
                other => {
                    assert!(length < question_end, "{what} at {length}");
                    assert_eq!(other, Reading::Cut, "{what} at {length}");
                }
            }
            // The same octets as a whole datagram are wrong somewhere.
            match read(&bytes[..length], length) {
                Reading::Message(short) => assert!(short.flaw.is_some(), "{what} at {length}"),
                other => assert!(matches!(other, Reading::Malformed(_)), "{what} at {length}"),
            }
        }
    }
}

/// None of the vectors compresses the name in its question.
fn question_end(bytes: &[u8]) -> usize {
    if bytes[5] == 0 {
        return 12;
    }
    let mut at = 12;
    while bytes[at] != 0 {
        at += 1 + usize::from(bytes[at]);
    }
    at + 5
}

/// A question for a name of `labels` labels of `length` octets each.
fn long_name(labels: usize, length: u8) -> Vec<u8> {
    let mut bytes = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for _ in 0..labels {
        bytes.push(length);
        bytes.extend(std::iter::repeat_n(b'x', length.into()));
    }
    bytes.extend(b"\0\0\x01\0\x01");
    bytes
}

#[test]
fn names_of_up_to_255_octets() {
    // Three of 64 octets, one of 62, and the root.
    let mut longest = long_name(3, 63);
    longest.truncate(longest.len() - 5);
    longest.push(61);
    longest.extend([b'y'; 61]);
    longest.extend(b"\0\0\x01\0\x01");
    let question = message(&longest).question.unwrap();
    assert_eq!(question.name.as_str().len(), 253);
    assert_eq!(line(&long_name(4, 63), 1000), "malformed Question");
    for (labels, length, good) in [
        (64, 1, true),
        (127, 1, true),
        (128, 1, false),
        (64, 3, false),
    ] {
        let bytes = long_name(labels, length);
        let found = matches!(read(&bytes, bytes.len()), Reading::Message(_));
        assert_eq!(found, good, "{labels} labels of {length}");
    }
}

#[test]
fn case_does_not_matter_and_is_kept() {
    let mixed = b"\0\x07\x01\x00\0\x01\0\0\0\0\0\0\x03wWw\x07ExAmPlE\x03cOm\0\0\x01\0\x01";
    let (mixed, plain) = (
        message(mixed).question.unwrap(),
        message(VECTORS[0].1).question.unwrap(),
    );
    assert_eq!(mixed, plain);
    assert_eq!(mixed.name.as_str(), "wWw.ExAmPlE.cOm");
    // The dot in a label is none between labels.
    let dot = b"\0\x07\x01\x00\0\x01\0\0\0\0\0\0\x0bwww.example\x03com\0\0\x01\0\x01";
    assert_ne!(message(dot).question.unwrap(), plain);
}

#[test]
fn numbers_by_their_names() {
    let types = [
        1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 41, 43, 48, 64, 65, 252, 255, 257, 65280,
    ];
    let names = types.map(|number| Type(number).to_string()).join(" ");
    assert_eq!(
        names,
        "A NS CNAME SOA PTR MX TXT AAAA SRV NAPTR OPT DS DNSKEY SVCB HTTPS AXFR ANY CAA TYPE65280"
    );
    let classes = [1, 3, 4, 254, 255, 32].map(|number| Class(number).to_string());
    assert_eq!(classes.join(" "), "IN CH HS NONE ANY CLASS32");
    let codes = [0, 1, 2, 3, 4, 5, 9, 16, 23, 12].map(|number| Rcode(number).to_string());
    assert_eq!(
        codes.join(" "),
        "NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED NOTAUTH BADVERS BADCOOKIE RCODE12"
    );
    let opcodes = [0, 1, 2, 3, 4, 5, 6].map(|number| Opcode(number).to_string());
    assert_eq!(
        opcodes.join(" "),
        "QUERY IQUERY STATUS OPCODE3 NOTIFY UPDATE DSO"
    );
}
