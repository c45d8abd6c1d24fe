//! OpenSSL in a program that has no names of functions, as stripped ones that it is linked into.
//!
//! Owns: to tell its functions by the errors that they put, which name them: since 3.0 by a text, in 1.1 by a number that is the
//! same in all of its versions. Where functions begin and end the tables say by which stacks are unwound. A function is taken for
//! what it is only when exactly one names itself so and nothing else, and the two that all bytes go through are called by those
//! that must call them and by nobody who is not known. Where anything else is there, nothing is found at all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use iced_x86::{Code, Instruction, Register};

use super::errors::Caller;
use super::values::{self, Going, State, To, Value};
use super::{LONGEST_FUNCTION, LONGEST_TOGETHER, errors, places, reading};
use crate::constants::{Maker, Source};
use crate::image::{Extent, Extents, Image, Machine};
use crate::symbols::Symbol;
use crate::x86;
use crate::{Error, Site};

/// `ERR_LIB_SSL`
const LIBRARY: u64 = 20;
/// The longest name that is looked for, with the zero behind it.
const LONGEST_NAME: usize = 32;
/// Functions that name themselves, and the numbers by which 1.1 does (`SSL_F_SSL_READ` and so on).
const NAMES: [(&str, u64); 5] = [
    (MAKE, 186),
    (READ, 223),
    (READ_INNER, 523),
    (WRITE, 208),
    (WRITE_INNER, 524),
];
const MAKE: &str = "SSL_new";
const READ: &str = "SSL_read";
const READ_INNER: &str = "ssl_read_internal";
const WRITE: &str = "SSL_write";
const WRITE_INNER: &str = "ssl_write_internal";
/// 1.1 has none.
const FILE: &str = "SSL_sendfile";
/// Those that only say which session their thread works on.
const TOUCHED: [(&str, u64); 6] = [
    ("SSL_do_handshake", 180),
    ("SSL_peek", 270),
    ("ssl_peek_internal", 522),
    ("SSL_shutdown", 224),
    ("SSL_read_early_data", 529),
    ("SSL_write_early_data", 526),
];

/// The functions that are told, by the names that they have elsewhere.
pub(super) struct Told {
    pub(super) symbols: Vec<Symbol>,
    /// Around what reads and writes for `BIO_f_ssl`, and where sessions are made.
    pub(super) sites: Vec<Site>,
}

/// A function that puts errors.
struct Candidate {
    extent: Extent,
    code: Vec<Instruction>,
    names: BTreeSet<String>,
}

impl Candidate {
    fn calls(&self, address: u64) -> bool {
        self.code.iter().any(|instruction| {
            x86::is_call(instruction) && x86::target(instruction) == Some(address)
        })
    }
}

/// What is told for sure of OpenSSL, whose source is among `sources`; nothing where the functions that bytes pass through are not.
pub(super) fn look<R: Read + Seek>(
    image: &mut Image<R>,
    sources: &[Source],
) -> Result<Option<Told>, Error> {
    if image.machine != Machine::X86 {
        return Ok(None);
    }
    let Some(source) = Source::only(sources, Maker::OpenSsl) else {
        return Ok(None);
    };
    let extents = Extents::read(image)?;
    let candidates = candidates(image, &extents, source)?;
    let one = |name: &str| {
        let mut all = candidates.iter().filter(|one| one.names.contains(name));
        let first = all.next().filter(|first| first.names.len() == 1)?;
        all.next().is_none().then_some(first)
    };
    let (Some(make), Some(read), Some(read_inner), Some(write), Some(write_inner)) = (
        one(MAKE),
        one(READ),
        one(READ_INNER),
        one(WRITE),
        one(WRITE_INNER),
    ) else {
        return Ok(None);
    };
    let (reads, writes) = (read_inner.extent.address, write_inner.extent.address);
    if !read.calls(reads) || !write.calls(writes) {
        return Ok(None);
    }
    let has_flags = |outer: &Candidate, inner: u64| flags(&outer.code, inner);
    let (Some(false), Some(has_flags)) = (has_flags(read, reads), has_flags(write, writes)) else {
        return Ok(None);
    };
    // Those that only say which session their thread works on.
    let is_touched = |one: &&Candidate| {
        let is_known = |name: &String| TOUCHED.iter().any(|(known, _)| known == name);
        !one.names.is_empty() && one.names.iter().all(is_known)
    };
    // What the name of one is does not matter.
    let beside: Vec<(&str, Extent)> = candidates
        .iter()
        .filter(is_touched)
        .map(|one| ("SSL_peek", one.extent))
        .chain(one(FILE).map(|one| (FILE, one.extent)))
        .collect();
    let targets = beside
        .iter()
        .map(|(_, extent)| extent.address)
        .chain([make.extent.address, reads, writes])
        .collect();
    let callers = errors::callers(image, &targets)?;
    // What is only jumped to may be a part of a function that a compiler put elsewhere.
    let is_whole = |address: u64| {
        let mut here = callers
            .values()
            .filter(|caller| caller.target == address)
            .peekable();
        here.peek().is_none() || here.any(|caller| caller.is_call)
    };
    let makes = image.code(make.extent.address);
    let Some((makes, _)) = makes.filter(|_| is_whole(make.extent.address)) else {
        return Ok(None);
    };
    let mut told = Told {
        symbols: vec![symbol(READ, read.extent), symbol(WRITE, write.extent)],
        sites: vec![places::made(makes)],
    };
    for (name, extent) in beside {
        if is_whole(extent.address) {
            told.symbols.push(symbol(name, extent));
        }
    }
    let known = Known {
        named: [read.extent, write.extent],
        reads,
        writes,
        has_flags,
    };
    let Some(outer) = outer(image, &extents, &callers, known)? else {
        return Ok(None);
    };
    told.symbols.extend(outer.symbols);
    told.sites.extend(outer.sites);
    Ok(Some(told))
}

fn symbol(name: &str, extent: Extent) -> Symbol {
    Symbol {
        name: name.to_owned(),
        address: extent.address,
        size: extent.size,
        function: true,
        defined: true,
    }
}

/// The functions that refer to the file at `source`; none where they are more code than is looked at.
fn candidates<R: Read + Seek>(
    image: &mut Image<R>,
    extents: &Extents,
    source: u64,
) -> Result<Vec<Candidate>, Error> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut left = LONGEST_TOGETHER;
    // Of one function they are one after the other.
    for place in errors::references(image, source)? {
        let last = candidates.last();
        if last.is_some_and(|last| last.extent.contains(place)) {
            continue;
        }
        let Some(extent) = extents.around(place) else {
            continue;
        };
        let Some(code) = code_of(image, extent)? else {
            continue;
        };
        let Some(fewer) = left.checked_sub(extent.size) else {
            return Ok(Vec::new());
        };
        left = fewer;
        let puts = errors::puts(&code, source);
        let mut names = BTreeSet::new();
        // What is not understood is a name by itself.
        if puts.are_more {
            names.insert(String::new());
        }
        for given in puts.calls {
            // What gives and takes memory is told the file too, and no name.
            if [given.rsi, given.rdx].contains(&Some(source)) {
                continue;
            }
            let name = if given.rdi == Some(source) {
                text(image, given.rdx)?
            } else if given.rdi == Some(LIBRARY) && given.rcx == Some(source) {
                NAMES
                    .iter()
                    .chain(&TOUCHED)
                    .find(|(_, number)| given.rsi == Some(*number))
                    .map(|(name, _)| (*name).to_owned())
            } else {
                None
            };
            names.insert(name.unwrap_or_default());
        }
        candidates.push(Candidate {
            extent,
            code,
            names,
        });
    }
    Ok(candidates)
}

/// All instructions of a function; nothing where it is longer than is looked at, or has something else in it.
fn code_of<R: Read + Seek>(
    image: &mut Image<R>,
    extent: Extent,
) -> Result<Option<Vec<Instruction>>, Error> {
    let Some((offset, left)) = image.code(extent.address) else {
        return Ok(None);
    };
    if extent.size > LONGEST_FUNCTION.min(left) {
        return Ok(None);
    }
    let Some(bytes) = image.at(offset, usize::try_from(extent.size).unwrap_or(0))? else {
        return Ok(None);
    };
    let mut code = x86::decode(&bytes, extent.address);
    let behind = extent.address.saturating_add(extent.size);
    if code.last().map(Instruction::next_ip) != Some(behind) {
        return Ok(None);
    }
    // A call at the end does not return.
    let mut end = Instruction::default();
    end.set_code(Code::Int3);
    end.set_ip(behind);
    code.push(end);
    Ok(Some(code))
}

/// The text that a function's name may be.
fn text<R: Read + Seek>(
    image: &mut Image<R>,
    address: Option<u64>,
) -> Result<Option<String>, Error> {
    let Some(address) = address else {
        return Ok(None);
    };
    let bytes = image.loaded(address, LONGEST_NAME)?;
    Ok(bytes.and_then(|bytes| {
        let name = bytes.split(|byte| *byte == 0).next()?;
        String::from_utf8(name.to_vec()).ok()
    }))
}

/// What is known when other functions are asked for.
#[derive(Clone, Copy)]
struct Known {
    /// `SSL_read` and `SSL_write`.
    named: [Extent; 2],
    /// What these call.
    reads: u64,
    writes: u64,
    /// Whether what writes has flags before the place for the count, as since 3.3.
    has_flags: bool,
}

/// Whether what `code` calls at `inner` is given no flags as its fourth argument and then the place for the count, which is on its
/// stack, or the place at once; nothing where that is not clear.
fn flags(code: &[Instruction], inner: u64) -> Option<bool> {
    let walk = values::walk(code, State::new())?;
    let mut calls = walk
        .goings
        .iter()
        .filter(|going| going.to == To::Address(inner))
        .map(|going| {
            let of = |register| going.state.of(register);
            match (of(Register::RCX), of(Register::R8)) {
                (Value::Number(0), Value::Unknown) => Some(true),
                (Value::Unknown, _) => Some(false),
                _ => None,
            }
        });
    let first = calls.next()?;
    first.filter(|_| calls.all(|call| call == first))
}

/// The functions that call the two inner ones, beside `SSL_read` and `SSL_write`; nothing where one of them is not known.
fn outer<R: Read + Seek>(
    image: &mut Image<R>,
    extents: &Extents,
    callers: &BTreeMap<u64, Caller>,
    known: Known,
) -> Result<Option<Told>, Error> {
    let mut told = Told {
        symbols: Vec::new(),
        sites: Vec::new(),
    };
    let mut left = LONGEST_TOGETHER;
    for (place, Caller { target, .. }) in callers {
        let is_write = *target == known.writes;
        let is_named = known.named.iter().any(|named| named.contains(*place));
        if is_named || (*target != known.reads && !is_write) {
            continue;
        }
        // Bytes that look like a call are in no function, or none of its instructions.
        let Some(extent) = extents.around(*place) else {
            continue;
        };
        let (Some(code), Some((offset, _)), Some(fewer)) = (
            code_of(image, extent)?,
            image.code(extent.address),
            left.checked_sub(extent.size),
        ) else {
            return Ok(None);
        };
        left = fewer;
        let Some(walk) = values::walk(&code, State::new()) else {
            return Ok(None);
        };
        let here = |going: &&Going| {
            going.to == To::Address(*target)
                && code.get(going.index).map(Instruction::ip) == Some(*place)
        };
        for going in walk.goings.iter().filter(here) {
            let of = |register, argument| going.state.of(register) == Value::Argument(argument);
            let is_outer = [Register::RDI, Register::RSI, Register::RDX]
                .into_iter()
                .enumerate()
                .all(|(argument, register)| of(register, argument));
            let has_flags = is_write && known.has_flags;
            let name = match (is_outer, is_write) {
                (true, false) if of(Register::RCX, 3) => Some("SSL_read_ex"),
                (true, true) if !has_flags && of(Register::RCX, 3) => Some("SSL_write_ex"),
                (true, true) if has_flags && of(Register::RCX, 3) && of(Register::R8, 4) => {
                    Some("SSL_write_ex2")
                }
                _ => None,
            };
            if let Some(name) = name {
                let symbol = symbol(name, extent);
                let others = told.symbols.iter().filter(|other| other.name == name);
                if others.clone().any(|other| *other != symbol) {
                    return Ok(None);
                }
                if others.count() == 0 {
                    told.symbols.push(symbol);
                }
                continue;
            }
            let place = if has_flags {
                Register::R8
            } else {
                Register::RCX
            };
            let pair = reading::around(&code, going, is_write, offset, extent.address)
                .filter(|_| of(Register::RSI, 1) && of(place, 3));
            let Some(pair) = pair else {
                return Ok(None);
            };
            if !told.sites.contains(&pair[0]) {
                told.sites.extend(pair);
            }
        }
    }
    Ok(Some(told))
}
