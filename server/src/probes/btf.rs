//! The offsets of fields in kernel structures, from the kernel's own type information.
//!
//! Owns: just enough of the format (Documentation/bpf/btf.rst) to answer "where in `struct X` is `a.b`". aya reads BTF
//! too and keeps these answers to itself; the one crate that offers them is under the LGPL.

use std::{collections::HashMap, path::Path};

const MAGIC: u16 = 0xeb9f;
const KIND_PTR_LIKE: [u32; 5] = [8, 9, 10, 11, 18]; // typedef, volatile, const, restrict, type tag
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
/// Typedefs and anonymous members nest; deeper than this is damage.
const MAX_DEPTH: u32 = 16;

/// The kernel's types.
pub(crate) struct Btf {
    bytes: Vec<u8>,
    types: Vec<u32>,
    strings: usize,
    structs: HashMap<u32, u32>,
}

impl Btf {
    /// Reads the running kernel's types; `None` when it offers none or they are damaged.
    pub(crate) fn of_kernel() -> Option<Self> {
        Self::parse(std::fs::read(Path::new("/sys/kernel/btf/vmlinux")).ok()?)
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let magic = u16::from_ne_bytes(*bytes.first_chunk()?);
        if magic != MAGIC {
            return None;
        }
        let header = number(&bytes, 4)? as usize;
        let start = header + number(&bytes, 8)? as usize;
        let end = start + number(&bytes, 12)? as usize;
        let strings = header + number(&bytes, 16)? as usize;
        let mut btf = Self {
            bytes,
            types: vec![0],
            strings,
            structs: HashMap::new(),
        };
        let mut at = start;
        while at < end {
            let info = number(&btf.bytes, at + 4)?;
            let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            let id = u32::try_from(btf.types.len()).ok()?;
            btf.types.push(u32::try_from(at).ok()?);
            if kind == KIND_STRUCT {
                let name = number(&btf.bytes, at)?;
                btf.structs.insert(name, id);
            }
            at += 12
                + match kind {
                    1 | 14 | 17 => 4,
                    3 => 12,
                    KIND_STRUCT | KIND_UNION | 15 | 19 => count * 12,
                    6 | 13 => count * 8,
                    _ => 0,
                };
        }
        Some(btf)
    }

    /// Byte offset of a field, such as `("sock", "sk_lock.owned")`; `None` when this kernel has no such field.
    pub(crate) fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut at = self
            .structs
            .iter()
            .find(|(name, _)| self.name_is(**name, structure))
            .map(|(_, id)| *id)?;
        let mut offset = 0;
        for name in path.split('.') {
            let (field_offset, field_type) = self.member(at, name, 0)?;
            offset += field_offset;
            at = field_type;
        }
        Some(offset / 8)
    }

    /// Offset in bits and type of a member, looked for in anonymous members too.
    fn member(&self, id: u32, name: &str, depth: u32) -> Option<(u32, u32)> {
        if depth > MAX_DEPTH {
            return None;
        }
        let at = *self.types.get(id as usize)? as usize;
        let info = number(&self.bytes, at + 4)?;
        let kind = info >> 24 & 0x1f;
        if KIND_PTR_LIKE.contains(&kind) {
            return self.member(number(&self.bytes, at + 8)?, name, depth + 1);
        }
        if kind != KIND_STRUCT && kind != KIND_UNION {
            return None;
        }
        for index in 0..(info & 0xffff) as usize {
            let entry = at + 12 + index * 12;
            let field_name = number(&self.bytes, entry)?;
            let field_type = number(&self.bytes, entry + 4)?;
            let position = number(&self.bytes, entry + 8)?;
            // With the kind flag the upper eight bits are a bit field's size.
            let position = if info >> 31 == 1 {
                position & 0x00ff_ffff
            } else {
                position
            };
            if self.name_is(field_name, name) {
                return Some((position, field_type));
            }
            if self.name_is(field_name, "")
                && let Some((inner, inner_type)) = self.member(field_type, name, depth + 1)
            {
                return Some((position + inner, inner_type));
            }
        }
        None
    }

    fn name_is(&self, name: u32, expected: &str) -> bool {
        let start = self.strings + name as usize;
        let end = start + expected.len();
        self.bytes.get(start..end) == Some(expected.as_bytes()) && self.bytes.get(end) == Some(&0)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|four| u32::from_ne_bytes(*four))
}
