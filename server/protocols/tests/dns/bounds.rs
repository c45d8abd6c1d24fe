//! What is kept of a message is bounded, and what is not kept is counted.

use headwater_protocols::dns::{MAX_ADDRESSES, MAX_ALIASES, MAX_OTHER_TYPES, MAX_RECORDS, Type};

use crate::telling::message;

/// An answer of `records`, each by its type and data.
fn answer(records: &[(u16, &[u8])]) -> Vec<u8> {
    let count = u16::try_from(records.len()).unwrap().to_be_bytes();
    let mut bytes = b"\0\x01\x81\x80\0\x01".to_vec();
    bytes.extend(count);
    bytes.extend(b"\0\0\0\0\x01a\0\0\xff\0\x01");
    for (kind, data) in records {
        bytes.extend(b"\xc0\x0c");
        bytes.extend(kind.to_be_bytes());
        bytes.extend(b"\0\x01\0\0\0\x09");
        bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(*data);
    }
    bytes
}

#[test]
fn many_addresses_and_aliases() {
    let records: Vec<(u16, &[u8])> = (0..100)
        .flat_map(|_| [(1, &b"\x0a\0\0\x01"[..]), (5, &b"\xc0\x0c"[..])])
        .collect();
    let answers = message(&answer(&records)).answers;
    assert_eq!(
        (answers.addresses.len(), answers.address_count),
        (MAX_ADDRESSES, 100)
    );
    assert_eq!(
        (answers.aliases.len(), answers.alias_count),
        (MAX_ALIASES, 100)
    );
}

#[test]
fn many_types() {
    let records: Vec<(u16, &[u8])> = (1000..1040)
        .flat_map(|kind| [(kind, &b""[..]); 2])
        .collect();
    let answers = message(&answer(&records)).answers;
    assert_eq!(answers.others.len(), MAX_OTHER_TYPES);
    assert_eq!(answers.others[0], (Type(1000), 2));
    assert_eq!(usize::from(answers.uncounted), 80 - 2 * MAX_OTHER_TYPES);
}

#[test]
fn many_records() {
    let some: Vec<(u16, &[u8])> = vec![(16, b"\0"); MAX_RECORDS];
    assert!(!message(&answer(&some)).answers_cut);
    let many: Vec<(u16, &[u8])> = vec![(16, b"\0"); MAX_RECORDS + 1];
    let message = message(&answer(&many));
    assert!(message.answers_cut && message.flaw.is_none());
    assert_eq!(usize::from(message.answers.others[0].1), MAX_RECORDS);
}

/// The longest chain of pointers that a name may have, in each record.
#[test]
fn long_chains_of_pointers() {
    let mut chain = b"\0".to_vec();
    // The first pointer stands behind the question, the record's head and the root: at 31.
    let begin = 12 + 7 + 12;
    for number in 0..300_u16 {
        let to = if number == 0 {
            begin
        } else {
            begin + 1 + (number - 1) * 2
        };
        chain.extend((0xc000 | to).to_be_bytes());
    }
    let last = (0xc000 | (begin + 1 + 299 * 2)).to_be_bytes();
    let mut records: Vec<(u16, &[u8])> = vec![(16, &chain)];
    records.extend(vec![(5, &last[..]); 400]);
    let message = message(&answer(&records));
    assert_eq!(
        message.answers.alias_count, 0,
        "too long a chain is no name"
    );
    assert!(message.flaw.is_some());
}
