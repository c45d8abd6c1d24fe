//! The examples of RFC 7541, appendix C. Those of integers (C.1) stand beside what reads integers.

use headwater_protocols::hpack::Text;

use crate::blocks::{bytes, check, decode, from_start, joined};
use crate::witness::Witness;

type Blocks = &'static [(&'static str, &'static [&'static str])];

#[test]
fn c_2_1_literal_with_indexing() {
    let digits = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    let lines: &[&str] = &["custom-key: custom-header"];
    check(&mut from_start(), &[(digits, lines), ("be", lines)]);
}

#[test]
fn c_2_2_literal_without_indexing() {
    let mut decoder = from_start();
    check(
        &mut decoder,
        &[(
            "040c 2f73 616d 706c 652f 7061 7468",
            &[":path: /sample/path"],
        )],
    );
    assert!(decode(&mut decoder, &bytes("be")).1.is_err());
}

#[test]
fn c_2_3_literal_never_indexed() {
    let mut decoder = from_start();
    check(
        &mut decoder,
        &[(
            "1008 7061 7373 776f 7264 0673 6563 7265 74",
            &["!password: secret"],
        )],
    );
    assert!(decode(&mut decoder, &bytes("be")).1.is_err());
}

#[test]
fn c_2_4_indexed() {
    check(&mut from_start(), &[("82", &[":method: GET"])]);
}

#[test]
fn c_3_requests_without_huffman() {
    check(&mut from_start(), C_3);
}

#[test]
fn c_4_requests_with_huffman() {
    check(&mut from_start(), C_4);
}

#[test]
fn c_5_responses_without_huffman() {
    let mut decoder = from_start();
    decoder.set_max_table_size(256);
    check(&mut decoder, C_5);
    assert!(decoder.is_reliable());
}

#[test]
fn c_6_responses_with_huffman() {
    let mut decoder = from_start();
    decoder.set_max_table_size(256);
    check(&mut decoder, C_6);
    assert!(decoder.is_reliable());
}

#[test]
fn every_prefix_of_every_block() {
    for (blocks, table_size) in [(C_3, 4096), (C_4, 4096), (C_5, 256), (C_6, 256)] {
        for (cut, (digits, _)) in blocks.iter().enumerate() {
            let block = bytes(digits);
            for length in 0..block.len() {
                for mut decoder in [from_start(), joined()] {
                    decoder.set_max_table_size(table_size);
                    for (digits, _) in &blocks[..cut] {
                        assert!(decode(&mut decoder, &bytes(digits)).1.is_ok());
                    }
                    let end = decode(&mut decoder, &block[..length]).1;
                    // What is missing of a block that reads as a whole one is missing as a block may be.
                    if end.is_ok() {
                        decoder.lost();
                    }
                    let mut witness = Witness::default();
                    for (digits, lines) in &blocks[cut + 1..] {
                        let mut lines = lines.iter();
                        let whole = decoder.decode(&bytes(digits), |field| {
                            let split = |line: &'static str| {
                                line.split_at(line.get(1..).unwrap().find(": ").unwrap() + 1)
                            };
                            let (name, value) = split(lines.next().unwrap());
                            witness.check(field, name.as_bytes(), &value.as_bytes()[2..]);
                        });
                        assert!(whole.is_ok(), "{digits} behind {length} bytes");
                        assert_eq!(lines.next(), None);
                    }
                }
            }
        }
    }
}

#[test]
fn joined_between_requests() {
    let mut decoder = joined();
    let mut fields = Vec::new();
    let second = decoder.decode(&bytes(C_4[1].0), |field| {
        fields.push((field.name.known().is_some(), field.value.known().is_some()));
    });
    assert!(second.is_ok());
    assert_eq!(
        fields,
        [
            (true, true),
            (true, true),
            (true, true),
            (false, false),
            (true, true)
        ]
    );
    let third = decoder.decode(&bytes(C_4[2].0), |field| {
        fields.push((field.name.known().is_some(), field.value.known().is_some()));
        if let Text::Unknown(unknown) = field.value {
            assert_eq!(unknown.to_string(), "unknown:0:-1");
        }
    });
    assert!(third.is_ok());
}

const C_3: Blocks = &[
    (
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        &[
            ":method: GET",
            ":scheme: http",
            ":path: /",
            ":authority: www.example.com",
        ],
    ),
    (
        "8286 84be 5808 6e6f 2d63 6163 6865",
        &[
            ":method: GET",
            ":scheme: http",
            ":path: /",
            ":authority: www.example.com",
            "cache-control: no-cache",
        ],
    ),
    (
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        &[
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            ":authority: www.example.com",
            "custom-key: custom-value",
        ],
    ),
];

const C_4: Blocks = &[
    ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", C_3[0].1),
    ("8286 84be 5886 a8eb 1064 9cbf", C_3[1].1),
    (
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        C_3[2].1,
    ),
];

const C_5: Blocks = &[
    (
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d \
         546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        &[
            ":status: 302",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:21 GMT",
            "location: https://www.example.com",
        ],
    ),
    (
        "4803 3330 37c1 c0bf",
        &[
            ":status: 307",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:21 GMT",
            "location: https://www.example.com",
        ],
    ),
    (
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f \
         6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b \
         2076 6572 7369 6f6e 3d31",
        &[
            ":status: 200",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:22 GMT",
            "location: https://www.example.com",
            "content-encoding: gzip",
            "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ],
    ),
];

const C_6: Blocks = &[
    (
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 \
         8f0b 97c8 e9ae 82ae 43d3",
        C_5[0].1,
    ),
    ("4883 640e ffc1 c0bf", C_5[1].1),
    (
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 \
         dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        C_5[2].1,
    ),
];
