//! BoringSSL in a program that has no names, as Chromium's makers build it.
//!
//! Owns: to tell its functions by the errors that they put. Each such place gives the name of the source file, of which
//! there is one copy, the library's number and the reason's, all of which are the same in every version. A function is
//! taken for what it is only when exactly one has exactly its reasons and calls what it must call; what does not fit in
//! any way is not found at all.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};

use super::places::{self, Function};
use super::{Count, Role};
use crate::constants::Source;
use crate::image::{Image, Machine};
use crate::x86;
use crate::{Error, Site};

/// The largest part of the program that is gone through.
const LARGEST: u64 = 1 << 30;
/// The most places with an error that are told; there are some forty.
const MOST: usize = 1024;
/// The most of them for which a function is looked for: one in each function.
const MOST_LOOKS: usize = 128;
/// The longest function that is looked at.
const LONGEST_FUNCTION: usize = 1 << 12;

/// The number of errors of TLS.
const LIBRARY: u64 = 16;
/// `ERR_R_SHOULD_NOT_HAVE_BEEN_CALLED`: on a connection of QUIC.
const NOT_HERE: u64 = 66;
/// `SSL_R_UNINITIALIZED`
const UNINITIALIZED: u64 = 226;
/// `SSL_R_BAD_LENGTH`
const BAD_LENGTH: u64 = 111;
/// `SSL_R_SSL_HANDSHAKE_FAILURE`
const HANDSHAKE_FAILURE: u64 = 215;

/// A function that puts errors.
struct Candidate {
    function: Function,
    /// The address behind it.
    end: u64,
    reasons: BTreeSet<u64>,
}

/// The sites of `SSL_read`, `SSL_write` and `SSL_do_handshake`, if they are told for sure.
pub(super) fn sites<R: Read + Seek>(
    image: &mut Image<R>,
    sources: &[Source],
) -> Result<Vec<Site>, Error> {
    if image.machine != Machine::X86 {
        return Ok(Vec::new());
    }
    let Some(source) = only(sources) else {
        return Ok(Vec::new());
    };
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut looks = MOST_LOOKS;
    // Of one function they are one after the other.
    for place in references(image, source)? {
        if candidates.last().is_some_and(|last| place < last.end) {
            continue;
        }
        let Some(fewer) = looks.checked_sub(1) else {
            return Ok(Vec::new());
        };
        looks = fewer;
        candidates.extend(candidate(image, place, source)?);
    }
    let Some((read, write, handshake)) = tell(&candidates) else {
        return Ok(Vec::new());
    };
    let mut sites = Vec::new();
    places::choose(image.machine, read, super::read(Count::Result), &mut sites);
    places::choose(
        image.machine,
        write,
        super::write(Count::Result),
        &mut sites,
    );
    if let Some((offset, _)) = handshake.and_then(|address| image.code(address)) {
        let length = usize::try_from(super::UNSIZED_FUNCTION).unwrap_or(0);
        let bytes = image.some(offset, length)?;
        let function = Function::new(image.machine, &bytes, handshake.unwrap_or(0), offset);
        places::choose(image.machine, &function, Role::Touch, &mut sites);
    }
    sites.sort_by_key(|site: &Site| site.offset);
    Ok(sites)
}

/// `SSL_read`, `SSL_write` and where `SSL_do_handshake` begins.
fn tell(candidates: &[Candidate]) -> Option<(&Function, &Function, Option<u64>)> {
    let only = |reasons: &[u64], is: &dyn Fn(&Function) -> bool| {
        let reasons: BTreeSet<u64> = reasons.iter().copied().collect();
        let mut fitting = candidates
            .iter()
            .filter(|candidate| candidate.reasons == reasons && is(&candidate.function));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(&first.function)
    };
    let write = only(
        &[NOT_HERE, UNINITIALIZED, BAD_LENGTH, HANDSHAKE_FAILURE],
        &|_| true,
    )?;
    // SSL_read and SSL_peek do the same with what this one has read; the first takes it out.
    let inner = only(&[UNINITIALIZED, HANDSHAKE_FAILURE], &|_| true)?;
    let reads = |function: &Function| {
        function.code.iter().any(|instruction| {
            instruction.code() == Code::Call_rel32_64
                && x86::target(instruction) == Some(inner.address)
        })
    };
    let takes = |function: &Function| function.code.iter().any(is_store);
    let read = only(&[NOT_HERE], &|function| reads(function) && takes(function))?;
    only(&[NOT_HERE], &|function| reads(function) && !takes(function))?;
    // Both of them do a handshake first, and put an error when nothing came of it.
    let handshakes = |function: &Function| -> BTreeSet<u64> {
        function
            .code
            .windows(3)
            .filter_map(|three| match three {
                [call, test, jump]
                    if call.code() == Code::Call_rel32_64
                        && test.code() == Code::Test_rm32_r32
                        && matches!(jump.code(), Code::Js_rel8_64 | Code::Js_rel32_64) =>
                {
                    x86::target(call)
                }
                _ => None,
            })
            .collect()
    };
    let common = handshakes(write);
    let handshake = (common.len() == 1 && common == handshakes(inner))
        .then(|| common.first().copied())
        .flatten();
    Some((read, write, handshake))
}

/// Whether it writes to what is not its own stack.
fn is_store(instruction: &Instruction) -> bool {
    matches!(
        instruction.mnemonic(),
        Mnemonic::Mov | Mnemonic::Add | Mnemonic::Sub
    ) && instruction.op0_kind() == OpKind::Memory
        && !matches!(
            instruction.memory_base(),
            Register::RSP | Register::RBP | Register::None
        )
}

/// Where the file's path is loaded, if it is there once.
fn only(sources: &[Source]) -> Option<u64> {
    let mut fitting = sources.iter().filter(|source| source.is_in_chromium);
    let address = fitting.next()?.address;
    address.filter(|_| fitting.next().is_none())
}

/// Where `lea` takes this address.
fn references<R: Read + Seek>(image: &mut Image<R>, address: u64) -> Result<Vec<u64>, Error> {
    let segments: Vec<_> = image
        .segments
        .iter()
        .filter(|segment| segment.executable)
        .map(|segment| (segment.offset, segment.size.min(LARGEST), segment.address))
        .collect();
    let mut found = BTreeSet::new();
    for (offset, size, start) in segments {
        image.pieces(offset, size, 8, |place, bytes| {
            for at in memchr::memchr_iter(0x8d, bytes) {
                // A prefix for 64 bits; the address from the next instruction on, in 32 bits.
                let Some([prefix, _, form, distance @ ..]) =
                    at.checked_sub(1).and_then(|at| bytes.get(at..at + 7))
                else {
                    continue;
                };
                if prefix & 0xfb != 0x48 || form & 0xc7 != 5 {
                    continue;
                }
                let Some(distance) = distance
                    .first_chunk()
                    .map(|bytes| i32::from_le_bytes(*bytes))
                else {
                    continue;
                };
                let next = u64::try_from(at + 6)
                    .ok()
                    .and_then(|at| start.checked_add(place)?.checked_add(at));
                if let Some(next) = next
                    && next.wrapping_add_signed(i64::from(distance)) == address
                    && found.len() < MOST
                {
                    found.insert(next.saturating_sub(7));
                }
            }
            true
        })?;
    }
    Ok(found.into_iter().collect())
}

/// The function that the instruction at `place` is in, with the reasons of the errors that it puts.
fn candidate<R: Read + Seek>(
    image: &mut Image<R>,
    place: u64,
    source: u64,
) -> Result<Option<Candidate>, Error> {
    let before = u64::try_from(LONGEST_FUNCTION).unwrap_or(0);
    // Functions begin at multiples of sixteen, with breakpoints between them.
    let start = image
        .segments
        .iter()
        .filter(|segment| segment.executable && segment.address <= place)
        .map(|segment| segment.address)
        .max();
    let first = place.saturating_sub(before).max(start.unwrap_or(0)) & !15;
    let Some((offset, _)) = image.code(first) else {
        return Ok(None);
    };
    let bytes = image.some(offset, LONGEST_FUNCTION * 2)?;
    let Some(start) = usize::try_from(place - first).ok().and_then(|place| {
        (16..=place).rev().find(|at| {
            at % 16 == 0
                && bytes.get(at - 1) == Some(&0xcc)
                // push %rbp; mov %rsp, %rbp
                && bytes
                    .get(*at..)
                    .is_some_and(|bytes| bytes.starts_with(&[0x55, 0x48, 0x89, 0xe5]))
        })
    }) else {
        return Ok(None);
    };
    let into = u64::try_from(start).unwrap_or(0);
    let address = first.saturating_add(into);
    let offset = offset.saturating_add(into);
    let bytes = bytes.get(start..).unwrap_or_default();
    let Some(bytes) = x86::until_break(bytes, address).and_then(|length| bytes.get(..length))
    else {
        return Ok(None);
    };
    let function = Function::new(image.machine, bytes, address, offset);
    let code = &function.code;
    if !code.iter().any(|instruction| instruction.ip() == place) {
        return Ok(None);
    }
    let reasons = reasons(code, source);
    let end = address.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
    Ok(Some(Candidate {
        function,
        end,
        reasons,
    }))
}

/// The reasons that are given with this source.
fn reasons(code: &[Instruction], source: u64) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for (index, instruction) in code.iter().enumerate() {
        if instruction.code() != Code::Lea_r64_m
            || instruction.memory_base() != Register::RIP
            || instruction.ip_rel_memory_address() != source
        {
            continue;
        }
        let (mut library, mut reason) = (None, None);
        for behind in code.iter().skip(index + 1).take(6) {
            if x86::ends_line(behind) {
                break;
            }
            if behind.code() == Code::Mov_r32_imm32 {
                match behind.op0_register() {
                    Register::EDI => library = Some(behind.immediate(1)),
                    Register::EDX => reason = Some(behind.immediate(1)),
                    _ => {}
                }
            }
        }
        // An error that is put in another way makes the set another one.
        found.insert(reason.filter(|_| library == Some(LIBRARY)).unwrap_or(0));
    }
    found
}
