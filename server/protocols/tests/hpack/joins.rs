//! What is known and what is not, entry by entry.

use headwater_protocols::hpack::{Decoder, Limits, Malformed};

use crate::blocks::{bytes, check, decode, from_start, joined};
use crate::encoder::integer;

/// `a: 1` inserted, with literal name.
const A: &str = "40 01 61 01 31";
/// `b: 2` inserted.
const B: &str = "40 01 62 01 32";

#[test]
fn older_entries_keep_their_numbers() {
    check(
        &mut joined(),
        &[
            ("be", &["unknown:0:-1: unknown:0:-1"]),
            ("bf", &["unknown:0:-2: unknown:0:-2"]),
            (A, &["a: 1"]),
            (
                "be bf c0",
                &[
                    "a: 1",
                    "unknown:0:-1: unknown:0:-1",
                    "unknown:0:-2: unknown:0:-2",
                ],
            ),
            (B, &["b: 2"]),
            ("be bf c0", &["b: 2", "a: 1", "unknown:0:-1: unknown:0:-1"]),
        ],
    );
}

#[test]
fn a_name_that_is_not_known_stays_so() {
    // Index 62 as the name, inserted; then not inserted, by an index of four bits.
    check(
        &mut joined(),
        &[
            ("7e 01 78", &["unknown:0:-1: x"]),
            ("be", &["unknown:0:-1: x"]),
            ("0f 2f 01 79", &["unknown:0:-1: y"]),
            ("1f 2f 01 79", &["!unknown:0:-1: y"]),
            ("7e 01 7a", &["unknown:0:-1: z"]),
            (
                "be bf c0",
                &[
                    "unknown:0:-1: z",
                    "unknown:0:-1: x",
                    "unknown:0:-1: unknown:0:-1",
                ],
            ),
        ],
    );
}

#[test]
fn lost_begins_a_new_count() {
    let mut decoder = from_start();
    check(&mut decoder, &[(A, &["a: 1"])]);
    assert!(decoder.is_reliable());
    decoder.lost();
    assert!(!decoder.is_reliable());
    check(
        &mut decoder,
        &[
            ("be", &["unknown:1:-1: unknown:1:-1"]),
            (B, &["b: 2"]),
            ("be bf", &["b: 2", "unknown:1:-1: unknown:1:-1"]),
        ],
    );
    decoder.lost();
    check(&mut decoder, &[("be", &["unknown:2:-1: unknown:2:-1"])]);
}

#[test]
fn a_malformed_block_is_a_loss() {
    let mut decoder = from_start();
    let block = bytes(&format!("{A} 80"));
    assert_eq!(
        decode(&mut decoder, &block),
        (vec!["a: 1".into()], Err(Malformed::Index))
    );
    check(&mut decoder, &[("be", &["unknown:1:-1: unknown:1:-1"])]);
}

#[test]
fn a_table_that_the_encoder_emptied_is_known() {
    let mut decoder = joined();
    check(&mut decoder, &[(A, &["a: 1"]), ("20 3f e1 1f", &[])]);
    assert!(decoder.is_reliable());
    assert_eq!(decode(&mut decoder, &bytes("be")).1, Err(Malformed::Index));
}

#[test]
fn a_table_that_is_full_is_known() {
    let mut decoder = joined();
    // Room for two entries of 34 bytes, and not for the smallest one behind them.
    decoder.set_max_table_size(99);
    check(&mut decoder, &[(A, &["a: 1"])]);
    assert!(!decoder.is_reliable());
    check(
        &mut decoder,
        &[
            ("be bf", &["a: 1", "unknown:0:-1: unknown:0:-1"]),
            (B, &["b: 2"]),
        ],
    );
    assert!(decoder.is_reliable());
    check(&mut decoder, &[("be bf", &["b: 2", "a: 1"])]);
    assert_eq!(decode(&mut decoder, &bytes("c0")).1, Err(Malformed::Index));
}

#[test]
fn a_full_table_with_a_name_that_is_not_known_is_not_reliable() {
    let mut decoder = joined();
    decoder.set_max_table_size(66);
    check(
        &mut decoder,
        &[(A, &["a: 1"]), ("7f 00 01 78", &["unknown:0:-1: x"])],
    );
    assert!(!decoder.is_reliable());
    check(&mut decoder, &[(B, &["b: 2"])]);
    assert!(decoder.is_reliable());
}

#[test]
fn the_size_bounds_what_may_be_referred_to() {
    let index = |index| {
        let mut block = Vec::new();
        integer(0x80, 0x7f, index, &mut block);
        block
    };
    // 4096 / 32 = 128 entries at most.
    for (size, last) in [(4096, 62 + 127), (100, 62 + 2), (32, 62)] {
        let mut decoder = joined();
        decoder.set_max_table_size(size);
        assert_eq!(decode(&mut decoder, &index(last)).1, Ok(()));
        assert_eq!(
            decode(&mut decoder, &index(last + 1)).1,
            Err(Malformed::Index)
        );
        // A loss leaves the SETTINGS known.
        assert_eq!(decode(&mut decoder, &index(last)).1, Ok(()));
        assert_eq!(
            decode(&mut decoder, &index(last + 1)).1,
            Err(Malformed::Index)
        );
    }
    let mut decoder = joined();
    assert_eq!(decode(&mut decoder, &index(1_000_000)).1, Ok(()));
    decoder.set_max_table_size(31);
    assert!(decoder.is_reliable());
}

/// `c: xxx…`, inserted, of 33 bytes and the value.
fn large(value_bytes: usize) -> Vec<u8> {
    let mut block = bytes("40 01 63");
    integer(0, 0x7f, value_bytes, &mut block);
    block.extend(vec![b'x'; value_bytes]);
    block
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut decoder = from_start();
    check(&mut decoder, &[(A, &["a: 1"])]);
    assert_eq!(decode(&mut decoder, &large(4096 - 32)).1, Ok(()));
    check(&mut decoder, &[(B, &["b: 2"]), ("be", &["b: 2"])]);
    assert_eq!(decode(&mut decoder, &bytes("bf")).1, Err(Malformed::Index));
}

#[test]
fn an_entry_that_may_be_larger_than_the_table_shifts_nothing() {
    // Whether the entry of 5000 bytes is in the encoder's table depends on a size that was not seen. An encoder that has
    // it refers to it by 63, one that does not have it does not use 63.
    let mut decoder = joined();
    check(&mut decoder, &[(A, &["a: 1"])]);
    assert_eq!(decode(&mut decoder, &large(5000)).1, Ok(()));
    check(&mut decoder, &[(B, &["b: 2"]), ("be", &["b: 2"])]);
    let (lines, end) = decode(&mut decoder, &bytes("bf c0"));
    assert_eq!(
        (lines[0].len(), lines[1].as_str(), end),
        (5003, "a: 1", Ok(()))
    );
}

#[test]
fn texts_beyond_the_limit_become_unknown_and_keep_their_numbers() {
    let limits = Limits {
        max_held_bytes: 70,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(limits, false);
    check(
        &mut decoder,
        &[(A, &["a: 1"]), (B, &["b: 2"]), ("be bf", &["b: 2", "a: 1"])],
    );
    assert!(decoder.is_reliable());
    check(&mut decoder, &[("40 01 63 01 33", &["c: 3"])]);
    assert!(!decoder.is_reliable());
    check(
        &mut decoder,
        &[
            ("be bf c0", &["c: 3", "b: 2", "unknown:0:0: unknown:0:0"]),
            ("7f 01 01 39", &["unknown:0:0: 9"]),
            ("c1", &["unknown:0:0: unknown:0:0"]),
        ],
    );
    // Larger than what may be held: in the table, and not here.
    assert_eq!(decode(&mut decoder, &large(100)).1, Ok(()));
    check(
        &mut decoder,
        &[
            (
                "be bf",
                &["unknown:0:4: unknown:0:4", "unknown:0:3: unknown:0:3"],
            ),
            (A, &["a: 1"]),
            ("be bf", &["a: 1", "unknown:0:4: unknown:0:4"]),
        ],
    );
}

#[test]
fn the_name_of_an_entry_that_its_use_evicts() {
    let mut decoder = from_start();
    check(
        &mut decoder,
        &[
            ("3f 03", &[]),
            (A, &["a: 1"]),
            ("7e 01 32", &["a: 2"]),
            ("be", &["a: 2"]),
        ],
    );
    assert_eq!(decode(&mut decoder, &bytes("bf")).1, Err(Malformed::Index));
}
