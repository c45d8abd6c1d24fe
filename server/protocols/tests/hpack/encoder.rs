//! A small encoder, which takes its choices from the caller's random numbers: everything that a decoder must follow, and
//! nothing that it must refuse. Its table is written as RFC 7541, 4 says it, one vector, so that it shares no idea with
//! the decoder's.

use crate::huffman_code;
use crate::random::Random;

pub(crate) struct Encoder {
    /// The newest first.
    table: Vec<Entry>,
    max_size: usize,
    /// What its peer allows.
    limit: usize,
    /// The smallest `limit` since the last block, and a change at all (4.2).
    smallest: Option<usize>,
    inserted: usize,
}

#[derive(Clone)]
pub(crate) struct Entry {
    name: Vec<u8>,
    value: Vec<u8>,
    /// Counts insertions.
    number: usize,
}

/// A field as the encoder meant it.
pub(crate) struct Sent {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// The entry of the dynamic table that its value was taken from.
    pub(crate) entry: Option<usize>,
}

/// An integer with a prefix (5.1).
pub(crate) fn integer(first: u8, mask: u8, value: usize, block: &mut Vec<u8>) {
    let Some(mut rest) = value.checked_sub(usize::from(mask)) else {
        block.push(first | u8::try_from(value).unwrap());
        return;
    };
    block.push(first | mask);
    while rest >= 0x80 {
        block.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    block.push(u8::try_from(rest).unwrap());
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            table: Vec::new(),
            max_size: 4096,
            limit: 4096,
            smallest: None,
            inserted: 0,
        }
    }

    /// A SETTINGS frame of the peer's, acknowledged.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.smallest = Some(self.smallest.unwrap_or(limit).min(limit));
    }

    /// A block of fields, and what it means.
    pub(crate) fn block(&mut self, random: &mut Random) -> (Vec<u8>, Vec<Sent>) {
        let mut block = Vec::new();
        if let Some(smallest) = self.smallest.take()
            && smallest < self.max_size
        {
            self.update(smallest, &mut block);
        }
        if random.below(40) == 0 {
            let size = [0, 31, 64, 300, self.limit][random.below(5)].min(self.limit);
            self.update(size, &mut block);
            if random.below(2) == 0 {
                self.update(random.below(self.limit + 1), &mut block);
            }
        }
        let sent = (0..random.below(12))
            .map(|_| self.field(random, &mut block))
            .collect();
        (block, sent)
    }

    fn update(&mut self, size: usize, block: &mut Vec<u8>) {
        integer(0x20, 0x1f, size, block);
        self.max_size = size;
        self.evict(0);
    }

    fn field(&mut self, random: &mut Random, block: &mut Vec<u8>) -> Sent {
        if !self.table.is_empty() && random.below(2) == 0 {
            // Old entries as often as new ones.
            let at = random.below(self.table.len());
            integer(0x80, 0x7f, 62 + at, block);
            let entry = self.table[at].clone();
            return Sent {
                name: entry.name,
                value: entry.value,
                entry: Some(entry.number),
            };
        }
        let (first, mask, inserts) = [
            (0x40, 0x3f, true),
            (0x40, 0x3f, true),
            (0, 0x0f, false),
            (0x10, 0x0f, false),
        ][random.below(4)];
        let name = match random.below(3) {
            0 => {
                let at = random.below(STATIC_NAMES.len());
                integer(first, mask, STATIC_NAMES[at].0, block);
                STATIC_NAMES[at].1.to_vec()
            }
            1 if !self.table.is_empty() => {
                let at = random.below(self.table.len());
                integer(first, mask, 62 + at, block);
                self.table[at].name.clone()
            }
            _ => {
                block.push(first);
                let name = text(random, 20);
                string(&name, random, block);
                name
            }
        };
        let value = text(random, 60);
        string(&value, random, block);
        if inserts {
            self.insert(&name, &value);
        }
        Sent {
            name,
            value,
            entry: None,
        }
    }

    /// 4.4.
    fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + 32;
        self.evict(size);
        if size <= self.max_size {
            let entry = Entry {
                name: name.to_vec(),
                value: value.to_vec(),
                number: self.inserted,
            };
            self.inserted += 1;
            self.table.insert(0, entry);
        }
    }

    fn evict(&mut self, needed: usize) {
        let size = |entry: &Entry| entry.name.len() + entry.value.len() + 32;
        while !self.table.is_empty()
            && self.table.iter().map(size).sum::<usize>() + needed > self.max_size
        {
            self.table.pop();
        }
    }
}

/// A text that was hardly there before; now and then one that is larger than most tables.
fn text(random: &mut Random, length: usize) -> Vec<u8> {
    let length = match random.below(200) {
        0 => random.below(9000),
        1..8 => random.below(1000),
        _ => random.below(length),
    };
    let ascii = random.below(8) > 0;
    let byte = |random: &mut Random| match random.byte() {
        byte if ascii => byte % 26 + b'a',
        byte => byte,
    };
    (0..length).map(|_| byte(random)).collect()
}

fn string(text: &[u8], random: &mut Random, block: &mut Vec<u8>) {
    if random.below(2) == 0 {
        integer(0, 0x7f, text.len(), block);
        block.extend_from_slice(text);
    } else {
        let coded = huffman_code::encode(text);
        integer(0x80, 0x7f, coded.len(), block);
        block.extend_from_slice(&coded);
    }
}

const STATIC_NAMES: &[(usize, &[u8])] = &[
    (1, b":authority"),
    (4, b":path"),
    (8, b":status"),
    (14, b":status"),
    (15, b"accept-charset"),
    (32, b"cookie"),
    (61, b"www-authenticate"),
];
