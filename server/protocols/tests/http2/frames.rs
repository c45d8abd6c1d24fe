//! Frames and header blocks, written.

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITY: u8 = 0x20;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(crate) fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(0, flags, stream, payload)
}

/// HEADERS with the whole block.
pub(crate) fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(1, flags | END_HEADERS, stream, block)
}

pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(3, 0, stream, &code.to_be_bytes())
}

pub(crate) fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<_> = pairs
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(4, 0, 0, &payload)
}

pub(crate) fn settings_ack() -> Vec<u8> {
    frame(4, 1, 0, b"")
}

pub(crate) fn push_promise(stream: u32, promised: u32, block: &[u8]) -> Vec<u8> {
    frame(
        5,
        END_HEADERS,
        stream,
        &[&promised.to_be_bytes(), block].concat(),
    )
}

pub(crate) fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(
        7,
        0,
        0,
        &[&last.to_be_bytes()[..], &code.to_be_bytes(), b"debug"].concat(),
    )
}

pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(8, 0, stream, &increment.to_be_bytes())
}

pub(crate) fn continuation(stream: u32, flags: u8, fragment: &[u8]) -> Vec<u8> {
    frame(9, flags, stream, fragment)
}

/// A block of literals that leave the table alone.
pub(crate) fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(name, &mut block);
        string(value, &mut block);
    }
    block
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    literals(&[(":method", "GET"), (":scheme", "http"), (":path", path)])
}

pub(crate) fn post(path: &str) -> Vec<u8> {
    literals(&[(":method", "POST"), (":scheme", "http"), (":path", path)])
}

pub(crate) fn status(code: &str) -> Vec<u8> {
    literals(&[(":status", code)])
}

/// An encoder that inserts whatever it has not inserted yet.
pub(crate) struct Encoder {
    /// The newest first.
    table: Vec<(String, String)>,
    max_size: usize,
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            table: Vec::new(),
            max_size: 4096,
        }
    }

    /// A size update, as the beginning of the next block.
    pub(crate) fn size(&mut self, max_size: usize) -> Vec<u8> {
        self.max_size = max_size;
        self.evict(0);
        let mut block = Vec::new();
        integer(0x20, 0x1f, max_size, &mut block);
        block
    }

    pub(crate) fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            let index = match (*name, *value) {
                (":method", "GET") => Some(2),
                (":method", "POST") => Some(3),
                (":scheme", "http") => Some(6),
                (":status", "200") => Some(8),
                _ => self
                    .table
                    .iter()
                    .position(|(held, of)| held == name && of == value)
                    .map(|at| at + 62),
            };
            if let Some(index) = index {
                integer(0x80, 0x7f, index, &mut block);
                continue;
            }
            if let Some(at) = self.table.iter().position(|(held, _)| held == name) {
                integer(0x40, 0x3f, at + 62, &mut block);
            } else {
                block.push(0x40);
                string(name, &mut block);
            }
            string(value, &mut block);
            let size = name.len() + value.len() + 32;
            self.evict(size);
            if size <= self.max_size {
                self.table.insert(0, ((*name).into(), (*value).into()));
            }
        }
        block
    }

    fn evict(&mut self, needed: usize) {
        let size = |(name, value): &(String, String)| name.len() + value.len() + 32;
        while !self.table.is_empty()
            && self.table.iter().map(size).sum::<usize>() + needed > self.max_size
        {
            self.table.pop();
        }
    }
}

fn string(text: &str, block: &mut Vec<u8>) {
    integer(0, 0x7f, text.len(), block);
    block.extend(text.as_bytes());
}

fn integer(first: u8, mask: u8, value: usize, block: &mut Vec<u8>) {
    let Some(mut rest) = value.checked_sub(usize::from(mask)) else {
        return block.push(first | u8::try_from(value).unwrap());
    };
    block.push(first | mask);
    while rest >= 0x80 {
        block.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    block.push(u8::try_from(rest).unwrap());
}
