//! What functions say of themselves where they put errors: OpenSSL and BoringSSL tell the file, which is there once, and by name or
//! number the function or the reason.
//!
//! Owns: to find the functions that refer to the file, and what they give on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use iced_x86::{Code, FlowControl, Instruction, OpKind, Register};
use memchr::memmem;

use crate::Error;
use crate::image::Image;
use crate::x86::{self, Writes};

/// The largest part of the program that is gone through.
const LARGEST: u64 = 1 << 30;
/// The most places of each kind that are told; OpenSSL has some four hundred.
const MOST: usize = 1024;
/// The longest instruction that is looked for.
const LONGEST: usize = 8;
/// How often a function is gone through until all its ways are known.
const MOST_PASSES: usize = 8;

/// The registers of a call's first four arguments, where constants are in them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Given {
    pub(super) rdi: Option<u64>,
    pub(super) rsi: Option<u64>,
    pub(super) rdx: Option<u64>,
    pub(super) rcx: Option<u64>,
}

/// The calls of a function that are given the address of a source's name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Puts {
    pub(super) calls: Vec<Given>,
    /// Whether it takes the address more often than it gives it on, as far as can be told.
    pub(super) are_more: bool,
}

/// Where the address is taken.
pub(super) fn references<R: Read + Seek>(
    image: &mut Image<R>,
    address: u64,
) -> Result<Vec<u64>, Error> {
    // In a program that is loaded where its file says, the address itself is in the instruction.
    let itself = u32::try_from(address).ok().map(u32::to_le_bytes);
    let itself = itself.as_ref().map(memmem::Finder::new);
    through_code(image, |start, bytes, found| {
        for at in memchr::memchr_iter(0x8d, bytes) {
            // A prefix for 64 bits; the address from the next instruction on, in 32 bits.
            let Some([prefix, _, form, distance @ ..]) =
                at.checked_sub(1).and_then(|at| bytes.get(at..at + 7))
            else {
                continue;
            };
            if prefix & 0xfb == 0x48
                && form & 0xc7 == 5
                && let Some(next) = after(start, at + 6)
                && from(next, distance) == Some(address)
            {
                found.insert(next.saturating_sub(7), ());
            }
        }
        for at in itself.iter().flat_map(|itself| itself.find_iter(bytes)) {
            let is_put = at
                .checked_sub(1)
                .and_then(|before| bytes.get(before))
                .is_some_and(|code| (0xb8..=0xbf).contains(code));
            if is_put && let Some(place) = after(start, at - 1) {
                found.insert(place, ());
            }
        }
    })
    .map(|found| found.into_keys().collect())
}

/// Where control goes to a function from elsewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Caller {
    pub(super) target: u64,
    /// Whether it comes back.
    pub(super) is_call: bool,
}

/// What calls the functions at `targets`, or jumps there, by its place. Some may be no instructions.
pub(super) fn callers<R: Read + Seek>(
    image: &mut Image<R>,
    targets: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Caller>, Error> {
    through_code(image, |start, bytes, found| {
        let mut look = |code: usize, is_call: bool| {
            if let Some(distance) = bytes.get(code + 1..code + 5)
                && let Some(next) = after(start, code + 5)
                && let Some(target) = from(next, distance)
                && targets.contains(&target)
            {
                found.insert(next.saturating_sub(5), Caller { target, is_call });
            }
        };
        for at in memchr::memchr2_iter(0xe8, 0xe9, bytes) {
            look(at, bytes.get(at) == Some(&0xe8));
        }
        // On a condition. The first byte of these is before the place, which is nobody's who asks for calls.
        for at in memchr::memchr_iter(0x0f, bytes) {
            if matches!(bytes.get(at + 1), Some(0x80..=0x8f)) {
                look(at + 1, false);
            }
        }
    })
}

/// Goes through all code in pieces, each with where it is loaded.
fn through_code<R: Read + Seek, T>(
    image: &mut Image<R>,
    mut look: impl FnMut(u64, &[u8], &mut BTreeMap<u64, T>),
) -> Result<BTreeMap<u64, T>, Error> {
    let segments: Vec<_> = image
        .segments
        .iter()
        .filter(|segment| segment.executable)
        .map(|segment| (segment.offset, segment.size.min(LARGEST), segment.address))
        .collect();
    let mut found = BTreeMap::new();
    for (offset, size, start) in segments {
        image.pieces(offset, size, LONGEST, |place, bytes| {
            look(start.saturating_add(place), bytes, &mut found);
            found.len() <= MOST
        })?;
    }
    // Of too many none is told: one that is left out might be another's double.
    if found.len() > MOST {
        found.clear();
    }
    Ok(found)
}

fn after(start: u64, length: usize) -> Option<u64> {
    start.checked_add(u64::try_from(length).ok()?)
}

fn from(next: u64, distance: &[u8]) -> Option<u64> {
    let distance = i32::from_le_bytes(*distance.first_chunk()?);
    Some(next.wrapping_add_signed(i64::from(distance)))
}

/// What is in registers, where that is a constant.
type Constants = BTreeMap<Register, u64>;

/// What the calls of `code` are given of which one argument is the address `source`.
///
/// Constants are followed along all ways. Where several errors are put by one call, what each gives it is told where its way ends.
pub(super) fn puts(code: &[Instruction], source: u64) -> Puts {
    let targets: BTreeSet<u64> = code
        .iter()
        .filter(|instruction| !x86::is_call(instruction))
        .filter_map(x86::target)
        .collect();
    let is_by_table =
        |instruction: &Instruction| instruction.flow_control() == FlowControl::IndirectBranch;
    let mut joins = BTreeMap::new();
    // Where a table may lead anything may have been before.
    if !code.iter().any(is_by_table) {
        for _ in 0..MOST_PASSES {
            let before = joins.clone();
            let puts = pass(code, source, &targets, &mut joins);
            if joins == before {
                return puts;
            }
        }
    }
    joins = targets
        .iter()
        .map(|target| (*target, Constants::new()))
        .collect();
    pass(code, source, &targets, &mut joins)
}

/// Goes once through `code`, with what was at `joins` on the ways that were gone before, which those of this time are added to.
fn pass(
    code: &[Instruction],
    source: u64,
    targets: &BTreeSet<u64>,
    joins: &mut BTreeMap<u64, Constants>,
) -> Puts {
    let mut writes = Writes::new();
    let mut puts = Puts::default();
    let mut taken = 0_usize;
    let mut here = Some(Constants::new());
    for instruction in code {
        if targets.contains(&instruction.ip()) {
            if let Some(constants) = &mut here {
                puts.calls.extend(given(constants, source));
                give_on(joins, instruction.ip(), constants, source);
            }
            here = joins.get(&instruction.ip()).cloned();
            if here.is_none() {
                // Its ways are behind it.
                continue;
            }
        }
        let constants = here.get_or_insert_default();
        if x86::is_call(instruction) {
            puts.calls.extend(given(constants, source));
            constants.retain(|register, _| !x86::LOST_IN_CALLS.contains(register));
            continue;
        }
        if let Some(target) = x86::target(instruction) {
            if x86::is_branch(instruction) {
                puts.are_more |= given(constants, source).is_some();
            } else {
                puts.calls.extend(given(constants, source));
            }
            give_on(joins, target, constants, source);
        }
        if x86::ends_line(instruction) {
            here = None;
            continue;
        }
        let put = constant(instruction, constants);
        for register in writes.of(instruction) {
            constants.remove(&register);
        }
        if let Some(put) = put {
            taken += usize::from(put == source && !x86::is_between_registers(instruction));
            constants.insert(instruction.op0_register().full_register(), put);
        }
    }
    puts.are_more |= taken > puts.calls.len();
    puts
}

/// What a call is given here that is given the source.
fn given(constants: &Constants, source: u64) -> Option<Given> {
    let of = |register| constants.get(&register).copied();
    let given = Given {
        rdi: of(Register::RDI),
        rsi: of(Register::RSI),
        rdx: of(Register::RDX),
        rcx: of(Register::RCX),
    };
    [given.rdi, given.rsi, given.rdx, given.rcx]
        .contains(&Some(source))
        .then_some(given)
}

/// At `target` is what all ways there have in common, but that what is given the source there is told already.
fn give_on(joins: &mut BTreeMap<u64, Constants>, target: u64, constants: &Constants, source: u64) {
    let mut here = constants.clone();
    here.retain(|register, value| *value != source || !x86::LOST_IN_CALLS.contains(register));
    joins
        .entry(target)
        .and_modify(|before| before.retain(|register, value| here.get(register) == Some(value)))
        .or_insert(here);
}

/// The constant that it puts into a whole register.
fn constant(instruction: &Instruction, constants: &Constants) -> Option<u64> {
    if instruction.op0_kind() != OpKind::Register {
        return None;
    }
    let of = |register: Register| constants.get(&register.full_register()).copied();
    match instruction.code() {
        Code::Lea_r64_m if instruction.memory_base() == Register::RIP => {
            Some(instruction.ip_rel_memory_address())
        }
        Code::Mov_r32_imm32 | Code::Mov_rm32_imm32 | Code::Mov_r64_imm64 => {
            Some(instruction.immediate(1))
        }
        Code::Mov_r64_rm64 | Code::Mov_rm64_r64 if x86::is_between_registers(instruction) => {
            of(instruction.op1_register())
        }
        Code::Mov_r32_rm32 | Code::Mov_rm32_r32 if x86::is_between_registers(instruction) => {
            of(instruction.op1_register()).map(|number| number & 0xffff_ffff)
        }
        Code::Xor_r32_rm32 | Code::Xor_rm32_r32
            if x86::is_between_registers(instruction)
                && instruction.op0_register() == instruction.op1_register() =>
        {
            Some(0)
        }
        _ => None,
    }
}
