//! BoringSSL in a program that has no names, such as Chromium and gRPC for Python.
//!
//! Owns: to tell its functions by the errors that they put. Each such place gives the name of the source file, of which
//! there is one copy, the library's number and the reason's, all of which are the same in every version. A function is
//! taken for what it is only when exactly one has exactly its reasons and calls what it must call; what does not fit in
//! any way is not found at all.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};

use super::errors;
use super::places::{self, Function};
use super::{Count, Role};
use crate::constants::{Maker, Source};
use crate::image::{Extents, Image, Machine};
use crate::x86;
use crate::{Error, Site};

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
/// `SSL_R_NULL_SSL_CTX`
const NULL_SSL_CTX: u64 = 185;
/// `SSL_R_CONNECTION_TYPE_NOT_SET`
const CONNECTION_TYPE_NOT_SET: u64 = 134;
/// `SSL_R_BAD_HELLO_REQUEST`
const BAD_HELLO_REQUEST: u64 = 110;
/// `SSL_R_NO_RENEGOTIATION`
const NO_RENEGOTIATION: u64 = 182;
/// No reason has this number.
const UNKNOWN: u64 = 0;

/// A function that puts errors.
struct Candidate {
    function: Function,
    /// The address behind it.
    end: u64,
    reasons: BTreeSet<u64>,
}

/// The sites of `SSL_new`, `SSL_read`, `SSL_write` and `SSL_do_handshake`, if they are told for sure.
pub(super) fn sites<R: Read + Seek>(
    image: &mut Image<R>,
    sources: &[Source],
) -> Result<Vec<Site>, Error> {
    if image.machine != Machine::X86 {
        return Ok(Vec::new());
    }
    let Some(source) = Source::only(sources, Maker::BoringSsl) else {
        return Ok(Vec::new());
    };
    let extents = Extents::read(image)?;
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut looks = MOST_LOOKS;
    // Of one function they are one after the other.
    for place in errors::references(image, source)? {
        if candidates.last().is_some_and(|last| place < last.end) {
            continue;
        }
        let Some(fewer) = looks.checked_sub(1) else {
            return Ok(Vec::new());
        };
        looks = fewer;
        candidates.extend(candidate(image, &extents, place, source)?);
    }
    let Some(Told {
        made,
        read,
        write,
        handshakes,
    }) = tell(&candidates)
    else {
        return Ok(Vec::new());
    };
    let mut sites = vec![places::made(made.offset)];
    places::choose(image.machine, read, super::read(Count::Result), &mut sites);
    places::choose(
        image.machine,
        write,
        super::write(Count::Result),
        &mut sites,
    );
    for function in handshakes {
        places::choose(image.machine, function, Role::Touch, &mut sites);
    }
    sites.sort_by_key(|site: &Site| site.offset);
    Ok(sites)
}

/// The functions that are told.
struct Told<'c> {
    /// `SSL_new`
    made: &'c Function,
    /// `SSL_read`
    read: &'c Function,
    /// `SSL_write`
    write: &'c Function,
    /// `SSL_do_handshake`, and those that a compiler made it a part of.
    handshakes: Vec<&'c Function>,
}

fn tell(candidates: &[Candidate]) -> Option<Told<'_>> {
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
    // What handles messages after the handshake is a part of it where a compiler made it so.
    let inner = [
        &[UNINITIALIZED, HANDSHAKE_FAILURE][..],
        &[
            UNINITIALIZED,
            HANDSHAKE_FAILURE,
            BAD_HELLO_REQUEST,
            NO_RENEGOTIATION,
        ],
    ];
    let mut inner = inner
        .into_iter()
        .filter_map(|reasons| only(reasons, &|_| true));
    let (inner, None) = (inner.next()?, inner.next()) else {
        return None;
    };
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
    let common_of = |function: &Function| -> BTreeSet<u64> {
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
    let common = common_of(write);
    let mut handshakes: Vec<&Function> = candidates
        .iter()
        .filter(|candidate| candidate.reasons == BTreeSet::from([CONNECTION_TYPE_NOT_SET]))
        .map(|candidate| &candidate.function)
        .collect();
    let is_known = common.len() == 1
        && common == common_of(inner)
        && handshakes
            .iter()
            .any(|function| common.contains(&function.address));
    if !is_known {
        handshakes.clear();
    }
    Some(Told {
        made: only(&[NULL_SSL_CTX], &|_| true)?,
        read,
        write,
        handshakes,
    })
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

/// The function that the instruction at `place` is in, with the reasons of the errors that it puts.
fn candidate<R: Read + Seek>(
    image: &mut Image<R>,
    extents: &Extents,
    place: u64,
    source: u64,
) -> Result<Option<Candidate>, Error> {
    let there = match extents.around(place) {
        Some(extent) => {
            let length = usize::try_from(extent.size).unwrap_or(usize::MAX);
            if length > LONGEST_FUNCTION {
                return Ok(None);
            }
            let bytes = image.loaded(extent.address, length)?;
            bytes.map(|bytes| (extent.address, bytes))
        }
        None => between_breaks(image, place)?,
    };
    let Some((address, bytes)) = there else {
        return Ok(None);
    };
    let Some((offset, _)) = image.code(address) else {
        return Ok(None);
    };
    let function = Function::new(image.machine, &bytes, address, offset);
    let code = &function.code;
    let end = address.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
    let is_whole = code.last().map(Instruction::next_ip) == Some(end);
    if !is_whole || !code.iter().any(|instruction| instruction.ip() == place) {
        return Ok(None);
    }
    let reasons = reasons(code, source);
    Ok(Some(Candidate {
        function,
        end,
        reasons,
    }))
}

/// Where the function begins that the instruction at `place` is in, and its bytes, where no table tells: functions begin at
/// multiples of sixteen with the same two instructions, with breakpoints between them.
fn between_breaks<R: Read + Seek>(
    image: &mut Image<R>,
    place: u64,
) -> Result<Option<(u64, Vec<u8>)>, Error> {
    let before = u64::try_from(LONGEST_FUNCTION).unwrap_or(0);
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
    let bytes = bytes.get(start..).unwrap_or_default();
    let length = x86::until_break(bytes, address);
    Ok(length
        .and_then(|length| bytes.get(..length))
        .map(|bytes| (address, bytes.to_vec())))
}

/// The reasons that are given with this source.
fn reasons(code: &[Instruction], source: u64) -> BTreeSet<u64> {
    let puts = errors::puts(code, source);
    let reason = |given: &errors::Given| {
        let is_plain = given.rdi == Some(LIBRARY) && given.rcx == Some(source);
        given.rdx.filter(|_| is_plain).unwrap_or(UNKNOWN)
    };
    let mut reasons: BTreeSet<u64> = puts.calls.iter().map(reason).collect();
    // An error that is put in another way makes the set another one.
    if puts.are_more {
        reasons.insert(UNKNOWN);
    }
    reasons
}
