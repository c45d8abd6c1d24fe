//! Bytes from strangers: no panic, bounded memory, bounded work.

use headwater_protocols::hpack::{Decoder, Limits, Summary};

use crate::blocks::{bytes, from_start};
use crate::encoder::{Encoder, integer};
use crate::random::Random;

/// Three times what may be held, of texts and as entries, and the buffer for coded strings.
fn most_held(limits: Limits) -> usize {
    9 * limits.max_held_bytes + 32 * 1024
}

#[test]
fn random_blocks() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let limits = Limits {
        max_held_bytes: 2000,
        max_list_bytes: 3000,
        max_fields: 40,
    };
    let mut decoder = Decoder::new(limits, false);
    let mut encoder = Encoder::new();
    let (mut whole, mut broken, mut left_out) = (0, 0, 0);
    for _ in 0..200_000 {
        let block = match random.below(4) {
            0 => (0..random.below(60)).map(|_| random.byte()).collect(),
            1 => encoder.block(&mut random).0,
            _ => flipped(encoder.block(&mut random).0, &mut random),
        };
        let (mut fields, mut list_bytes) = (0, 0);
        let end = decoder.decode(&block, |field| {
            fields += 1;
            let length = |text: Option<&[u8]>| text.map_or(0, <[u8]>::len);
            list_bytes += length(field.name.known()) + length(field.value.known()) + 32;
        });
        assert!(fields <= limits.max_fields && list_bytes <= limits.max_list_bytes);
        assert!(
            decoder.held_bytes() <= most_held(limits),
            "{} bytes held",
            decoder.held_bytes()
        );
        match end {
            Ok(summary) => {
                assert_eq!((summary.fields, summary.list_bytes), (fields, list_bytes));
                whole += 1;
                left_out += summary.left_out_fields;
            }
            Err(_) => broken += 1,
        }
        match random.below(100) {
            0 => decoder.lost(),
            1 => decoder.set_max_table_size([0, 100, 4096, 1 << 20, u32::MAX][random.below(5)]),
            2 => {
                decoder = Decoder::new(limits, random.below(2) == 0);
                encoder = Encoder::new();
            }
            _ => {}
        }
    }
    assert!(
        whole > 10_000 && broken > 10_000 && left_out > 1000,
        "the blocks are too random to be of use"
    );
}

fn flipped(mut block: Vec<u8>, random: &mut Random) -> Vec<u8> {
    if !block.is_empty() {
        let at = random.below(block.len());
        match random.below(3) {
            0 => block[at] ^= 1 << random.below(8),
            1 => block.truncate(at),
            _ => block[at] = random.byte(),
        }
    }
    block
}

/// One entry of four thousand bytes, then references to it of one byte each.
#[test]
fn a_bomb_of_references_is_counted_and_not_given_out() {
    let mut decoder = from_start();
    let mut block = bytes("40 01 61");
    integer(0, 0x7f, 4000, &mut block);
    block.extend(vec![b'x'; 4000]);
    block.extend(vec![0xbe; 100_000]);
    // Entries inserted behind the limit are right.
    block.extend(bytes("40 01 62 01 32"));
    let mut given = 0;
    let end = decoder.decode(&block, |_| given += 1);
    let expected = Summary {
        fields: 16,
        list_bytes: 16 * 4033,
        left_out_fields: 100_001 - 16 + 1,
        left_out_bytes: (100_001 - 16) * 4033 + 34,
        literals: 2,
        insertions: 2,
        refers: true,
        resizes: false,
    };
    assert_eq!((given, end), (16, Ok(expected)));
    let mut last = Vec::new();
    decoder
        .decode(b"\xbe", |field| {
            last = field.value.known().unwrap().to_vec();
        })
        .unwrap();
    assert_eq!(last, b"2");
}

/// A name of four thousand bytes, then entries of that name by two bytes each: it is not copied for each one.
#[test]
fn a_bomb_of_names_takes_no_memory() {
    for joined in [false, true] {
        let mut decoder = Decoder::new(Limits::default(), joined);
        let mut block = vec![0x40];
        integer(0, 0x7f, 4000, &mut block);
        block.extend(vec![b'n'; 4000]);
        block.push(0);
        for _ in 0..100_000 {
            block.extend([0x7e, 0x00]);
        }
        let end = decoder.decode(&block, |field| {
            assert_eq!(field.name.known().unwrap().len(), 4000);
        });
        assert_eq!(end.unwrap().fields, 16);
        assert!(decoder.held_bytes() <= most_held(Limits::default()));
    }
}

#[test]
fn the_smallest_entries_are_bounded_too() {
    let mut decoder = Decoder::new(Limits::default(), true);
    let block = [0x41, 0x00].repeat(100_000);
    let summary = decoder.decode(&block, |_| ()).unwrap();
    assert_eq!((summary.fields, summary.left_out_fields), (1024, 98_976));
    assert!(decoder.held_bytes() <= most_held(Limits::default()));
}

#[test]
fn a_large_text_leaves_no_large_buffer() {
    let mut decoder = from_start();
    for first in [0x00, 0x40] {
        let mut block = vec![first, 0x01, b'a'];
        integer(0x80, 0x7f, 1_000_000, &mut block);
        // Zeros: 0x00 is a code of five bits for '0'.
        block.extend(vec![0; 1_000_000]);
        let summary = decoder.decode(&block, |_| ()).unwrap();
        assert_eq!((summary.fields, summary.left_out_bytes), (0, 1_600_033));
        assert!(decoder.held_bytes() <= most_held(Limits::default()));
    }
}
