//! Blocks that cannot be read, by the element that is to blame.

use headwater_protocols::hpack::Malformed;

use crate::blocks::{bytes, decode, from_start, joined};

const TABLE: &[(&str, Malformed)] = &[
    // Five octets behind the prefix, the last one too large; six.
    ("ff 80 ff ff ff 1f", Malformed::Integer),
    ("ff ff ff ff ff 7f", Malformed::Integer),
    ("ff 80 80 80 80 80 00", Malformed::Integer),
    ("3f ff ff ff ff ff ff ff ff ff 01", Malformed::Integer),
    ("ff", Malformed::IntegerCut),
    ("ff 80", Malformed::IntegerCut),
    ("7f", Malformed::IntegerCut),
    ("3f", Malformed::IntegerCut),
    ("04 7f", Malformed::IntegerCut),
    ("04", Malformed::StringCut),
    ("04 01", Malformed::StringCut),
    ("04 7f ff ff ff ff 0e 61", Malformed::StringCut),
    ("40", Malformed::StringCut),
    ("40 01 61", Malformed::StringCut),
    ("40 01 61 02 61", Malformed::StringCut),
    ("00 81", Malformed::StringCut),
    ("04 84 ff ff ff ff", Malformed::HuffmanEos),
    ("04 81 ff", Malformed::HuffmanPadding),
    ("04 81 18", Malformed::HuffmanPadding),
    ("04 82 1f ff", Malformed::HuffmanPadding),
    // The code of a control byte, cut.
    ("04 83 ff ff ff", Malformed::HuffmanPadding),
    ("80", Malformed::Index),
    ("82 20", Malformed::SizeUpdate),
    ("40 01 61 01 31 3f e1 1f", Malformed::SizeUpdate),
];

#[test]
fn by_element() {
    for (digits, element) in TABLE {
        for mut decoder in [from_start(), joined()] {
            assert_eq!(
                decode(&mut decoder, &bytes(digits)).1,
                Err(*element),
                "{digits}"
            );
            assert!(!decoder.is_reliable());
        }
    }
}

#[test]
fn beyond_a_table_that_was_seen_from_the_start() {
    for digits in ["be", "7e 01 61", "0f 2f 01 61", "ff 80 80 80 80 08"] {
        let end = decode(&mut from_start(), &bytes(digits)).1;
        assert_eq!(end, Err(Malformed::Index), "{digits}");
    }
}

#[test]
fn integers_with_more_octets_than_they_need() {
    // 62, and 2 octets of zeros.
    let (lines, end) = decode(&mut joined(), &bytes("04 ff 80 80 80 80 00"));
    assert_eq!((lines.len(), end), (0, Err(Malformed::StringCut)));
    let (lines, end) = decode(&mut from_start(), &bytes("82 0f 80 80 00 01 61"));
    assert_eq!(
        (lines, end),
        (
            vec![":method: GET".into(), "accept-charset: a".into()],
            Ok(())
        )
    );
}

#[test]
fn an_empty_block() {
    assert_eq!(decode(&mut from_start(), b""), (vec![], Ok(())));
}
