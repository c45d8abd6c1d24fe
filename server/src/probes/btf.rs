//! The offsets of fields in kernel structures, from the kernel's own type information.
//!
//! Owns: just enough of the format (Documentation/bpf/btf.rst) to answer "where in `struct X` is `a.b`", "what are the names
//! of `enum X`" and "how many arguments has this tracepoint". aya reads BTF
//! too and keeps these answers to itself; the one crate that offers them is under the LGPL.

use std::{collections::HashMap, path::Path};

const MAGIC: u16 = 0xeb9f;
const KIND_PTR_LIKE: [u32; 5] = [8, 9, 10, 11, 18]; // typedef, volatile, const, restrict, type tag
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_PTR: u32 = 2;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_FUNC_PROTO: u32 = 13;
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

    /// Names and values of an enumeration; `None` when this kernel has no such one.
    pub(crate) fn enumerators(&self, name: &str) -> Option<Vec<(String, u32)>> {
        let (at, count) = self.named(KIND_ENUM, name)?;
        let one = |index: usize| {
            let entry = at + 12 + index * 8;
            let text = self.text(number(&self.bytes, entry)?)?;
            Some((text, number(&self.bytes, entry + 4)?))
        };
        (0..count).map(one).collect()
    }

    /// How many arguments a tracepoint gives its programs; `None` when there is no such one.
    pub(crate) fn tracepoint_arguments(&self, name: &str) -> Option<usize> {
        let (at, _) = self.named(KIND_TYPEDEF, &format!("btf_trace_{name}"))?;
        let pointer = *self.types.get(number(&self.bytes, at + 8)? as usize)? as usize;
        if number(&self.bytes, pointer + 4)? >> 24 & 0x1f != KIND_PTR {
            return None;
        }
        let function = *self.types.get(number(&self.bytes, pointer + 8)? as usize)? as usize;
        let info = number(&self.bytes, function + 4)?;
        // The first is the tracepoint's own.
        (info >> 24 & 0x1f == KIND_FUNC_PROTO).then(|| (info as usize & 0xffff).saturating_sub(1))
    }

    /// Place and number of elements of the type of this kind and name.
    fn named(&self, kind: u32, name: &str) -> Option<(usize, usize)> {
        self.types.iter().skip(1).find_map(|at| {
            let at = *at as usize;
            let info = number(&self.bytes, at + 4)?;
            let is_it = info >> 24 & 0x1f == kind && self.name_is(number(&self.bytes, at)?, name);
            is_it.then_some((at, info as usize & 0xffff))
        })
    }

    fn text(&self, name: u32) -> Option<String> {
        let bytes = self.bytes.get(self.strings + name as usize..)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
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
