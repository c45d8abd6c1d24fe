//! The table's maximum size: who sets it, and what is held of a table that turns over.

use headwater_protocols::hpack::{Decoder, Malformed};

use crate::blocks::{bytes, check, decode, from_start};
use crate::encoder::integer;

/// `a: 1` and `b: 2`, inserted: 34 bytes of the table each.
const A: &str = "40 01 61 01 31";
const B: &str = "40 01 62 01 32";

#[test]
fn a_table_may_be_full_to_the_byte() {
    let mut decoder = from_start();
    // A size update to 68.
    check(
        &mut decoder,
        &[
            ("3f 25", &[]),
            (A, &["a: 1"]),
            (B, &["b: 2"]),
            ("be bf", &["b: 2", "a: 1"]),
        ],
    );
    // To 67.
    check(&mut decoder, &[("3f 24 be", &["b: 2"])]);
    assert_eq!(decode(&mut decoder, &bytes("bf")).1, Err(Malformed::Index));
}

#[test]
fn a_larger_setting_waits_for_the_encoder() {
    let entry = |value_bytes: usize| {
        let mut block = bytes("40 01 63");
        integer(0, 0x7f, value_bytes, &mut block);
        block.extend(vec![b'x'; value_bytes]);
        block
    };
    // Larger than the table, which it empties, until the encoder sizes it to 65,536.
    for (update, end) in [("", Err(Malformed::Index)), ("3f e1 ff 03", Ok(()))] {
        let mut decoder = from_start();
        decoder.set_max_table_size(65_536);
        check(&mut decoder, &[(update, &[])]);
        assert_eq!(decode(&mut decoder, &entry(5000)).1, Ok(()));
        assert_eq!(decode(&mut decoder, &bytes("be")).1, end);
    }
}

#[test]
fn a_smaller_setting_evicts() {
    let mut decoder = from_start();
    check(&mut decoder, &[(A, &["a: 1"]), (B, &["b: 2"])]);
    decoder.set_max_table_size(40);
    check(&mut decoder, &[("be", &["b: 2"])]);
    assert_eq!(decode(&mut decoder, &bytes("bf")).1, Err(Malformed::Index));
}

#[test]
fn a_size_beyond_the_setting_is_followed() {
    // 65,536, while the SETTINGS that allows it was not seen; it holds across a loss.
    let mut decoder = from_start();
    check(&mut decoder, &[("3f e1 ff 03", &[])]);
    decoder.lost();
    let mut last = Vec::new();
    integer(0x80, 0x7f, 62 + 2047, &mut last);
    assert_eq!(decode(&mut decoder, &last).1, Ok(()));
    last[1] += 1;
    assert_eq!(decode(&mut decoder, &last).1, Err(Malformed::Index));
}

#[test]
fn a_table_that_turns_over_does_not_grow() {
    let mut decoder = from_start();
    for number in 0..20_000 {
        let value = format!("{number:0100}");
        let mut block = bytes("44 64");
        block.extend(value.bytes());
        check_line(&mut decoder, &block, &format!(":path: {value}"));
        check_line(&mut decoder, &[0xbe], &format!(":path: {value}"));
        assert!(
            decoder.held_bytes() < 24 * 1024,
            "{} bytes",
            decoder.held_bytes()
        );
    }
}

fn check_line(decoder: &mut Decoder, block: &[u8], line: &str) {
    assert_eq!(decode(decoder, block), (vec![line.to_owned()], Ok(())));
}
