//! Writes a header block as template and holes. Redacts nothing itself: `fields` writes to the sink here.

use super::seen::Seen;
use super::{Building, Captured, kind};
use crate::fields;
use crate::hash::{Digest, Hasher};
use crate::policy::{HeaderRules, Rule};
use crate::printable;
use crate::sink::{Sink, TextSink, redact};

/// Buffers kept from block to block.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Parts of the field being written.
    parts: Vec<u8>,
    /// Readable text that may still grow.
    text: Vec<u8>,
    seen: Seen,
}

/// Appends one field to the block.
pub(crate) fn encode(
    hasher: &Hasher,
    rules: &HeaderRules,
    (name, value): (&[u8], &[u8]),
    scratch: &mut Scratch,
    out: &mut Building,
) {
    if let Some((written, holes)) = scratch.seen.find(name, value) {
        out.template.extend_from_slice(written);
        return out.holes.extend_from_slice(holes);
    }
    let rule = rules.of(name);
    let (template_start, holes_start) = (out.template.len(), out.holes.len());
    write_name(hasher, rule, name, scratch, out);
    let varying = rule.is_varying() || value.len() > LONGEST_INLINE;
    let mut sink = FieldSink::new(scratch, out, varying);
    fields::value(hasher, rule, value, &mut sink);
    let digests = sink.end_value();
    match rule {
        Rule::Trace(format) | Rule::KeepTrace(format) => {
            fields::mark_trace(hasher, format, value, &mut out.marks);
        }
        Rule::Keep => {
            if let Some(digest) = hasher.digest(value) {
                out.marks.add_value(&digest);
            }
        }
        _ => {}
    }
    let has_marks = matches!(rule, Rule::Keep | Rule::KeepTrace(_));
    let readable = !rule.is_unlisted() && !digests && !has_marks;
    out.hashed |= !readable;
    if readable
        && value.len() <= LONGEST_INLINE
        && let Some(written) = out.template.get(template_start..)
        && let Some(holes) = out.holes.get(holes_start..)
    {
        scratch.seen.remember((name, value), written, holes);
    }
}

fn write_name(hasher: &Hasher, rule: Rule, name: &[u8], scratch: &mut Scratch, out: &mut Building) {
    if rule.is_unlisted() && !fields::is_readable_name(name) {
        // The template knows names as text only.
        let mut text = TextSink::default();
        redact(hasher, name, &mut text);
        write_bytes(text.into_string().as_bytes(), &mut out.template);
    } else {
        scratch.text.clear();
        printable::extend(&mut scratch.text, name);
        write_bytes(&scratch.text, &mut out.template);
    }
}

/// Appends one field of which name or value may not be known.
pub(crate) fn encode_partly(
    hasher: &Hasher,
    rules: &HeaderRules,
    field: (Captured<'_>, Captured<'_>),
    scratch: &mut Scratch,
    out: &mut Building,
) {
    match field {
        (Captured::Known(name), Captured::Known(value)) => {
            encode(hasher, rules, (name, value), scratch, out);
        }
        (Captured::Known(name), Captured::Unknown(generation, number)) => {
            let rule = rules.of(name);
            write_name(hasher, rule, name, scratch, out);
            out.hashed |= rule.is_unlisted();
            write_unknown(generation, number, out);
        }
        (Captured::Unknown(generation, number), value) => {
            let mut name = Vec::new();
            unknown(generation, number, &mut name);
            write_bytes(&name, &mut out.template);
            match value {
                Captured::Known(value) => {
                    let mut sink = FieldSink::new(scratch, out, false);
                    // Nothing says that it is harmless.
                    fields::value(hasher, Rule::Unknown, value, &mut sink);
                    sink.end_value();
                    out.hashed = true;
                }
                Captured::Unknown(generation, number) => write_unknown(generation, number, out),
            }
        }
    }
}

/// Text that stands for what is not known.
pub(crate) fn unknown(generation: u32, number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{unknown:{generation}:{number}}}").as_bytes());
}

fn write_unknown(generation: u32, number: i64, out: &mut Building) {
    out.template.extend_from_slice(&[1, HOLE]);
    out.holes.push(kind::UNKNOWN);
    write_number(u64::from(generation), &mut out.holes);
    write_number((number << 1 ^ number >> 63).cast_unsigned(), &mut out.holes);
}

/// Collects the parts of one field.
struct FieldSink<'a> {
    scratch: &'a mut Scratch,
    out: &'a mut Building,
    count: u64,
    /// All parts go to the holes, and the template has one mark for them.
    varying: bool,
    digests: bool,
}

impl<'a> FieldSink<'a> {
    fn new(scratch: &'a mut Scratch, out: &'a mut Building, varying: bool) -> Self {
        scratch.parts.clear();
        scratch.text.clear();
        Self {
            scratch,
            out,
            count: 0,
            varying,
            digests: false,
        }
    }
    /// Says whether anything was hashed.
    fn end_value(mut self) -> bool {
        self.flush();
        let parts = &self.scratch.parts;
        if !self.varying {
            write_number(self.count, &mut self.out.template);
            self.out.template.extend_from_slice(parts);
            return self.digests;
        }
        self.out.template.extend_from_slice(&[1, HOLE]);
        if self.count != 1 {
            self.out.holes.push(kind::SEVERAL);
            write_number(self.count, &mut self.out.holes);
        }
        self.out.holes.extend_from_slice(parts);
        self.digests
    }
    /// Ends a readable part.
    fn flush(&mut self) {
        if self.scratch.text.is_empty() {
            return;
        }
        self.count += 1;
        if self.varying {
            self.scratch.parts.push(kind::TEXT);
        }
        write_bytes(&self.scratch.text, &mut self.scratch.parts);
        self.scratch.text.clear();
    }
    /// Begins a hole: where its bytes go.
    fn hole(&mut self, kind: u8) -> &mut Vec<u8> {
        self.flush();
        self.count += 1;
        let holes = if self.varying {
            &mut self.scratch.parts
        } else {
            self.scratch.parts.push(HOLE);
            &mut self.out.holes
        };
        holes.push(kind);
        holes
    }
}

impl Sink for FieldSink<'_> {
    fn literal(&mut self, raw: &[u8]) {
        printable::extend(&mut self.scratch.text, raw);
    }
    fn varying(&mut self, raw: &[u8]) {
        if self.varying || raw.is_empty() {
            return self.literal(raw);
        }
        self.flush();
        printable::extend(&mut self.scratch.text, raw);
        self.scratch.parts.push(HOLE);
        self.count += 1;
        self.out.holes.push(kind::TEXT);
        write_bytes(&self.scratch.text, &mut self.out.holes);
        self.scratch.text.clear();
    }
    fn digest(&mut self, digest: &Digest) {
        self.digests = true;
        let holes = self.hole(kind::DIGEST.saturating_add(digest.scheme.index()));
        holes.extend_from_slice(&digest.hash);
        write_number(digest.length, holes);
    }
    fn number(&mut self, number: u64) {
        write_number(number, self.hole(kind::NUMBER));
    }
    fn date(&mut self, seconds: u64) {
        write_number(seconds, self.hole(kind::DATE));
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_number(u64::try_from(bytes.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(bytes);
}

/// LEB128: seven bits a byte, low bits first, the top bit set on all but the last.
pub(super) fn write_number(number: u64, out: &mut Vec<u8>) {
    let mut rest = number;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

/// A part that is a hole.
const HOLE: u8 = 0;
/// A longer value would make a template of its own for each message.
const LONGEST_INLINE: usize = 256;
