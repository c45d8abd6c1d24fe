//! rustls, which a program has in itself: by the names of its functions, so not in a stripped program.
//!
//! Owns: which functions all bytes pass through that a program gives to rustls and that come out of its records, and the
//! proof that a program's machine code does with its arguments what [`Hook`](crate::Hook) says. The calling convention
//! and the layout of Rust's values are the compiler's choice, and which functions are joined with their callers differs
//! from build to build: what has not the shape that was studied is said to be unsupported.
//!
//! Studied: 0.23, built by Rust 1.95, with and without thin link-time optimisation. There
//! `CommonState::buffer_plaintext(&mut self, payload: OutboundChunks, ..) -> usize` has `self` in rdi and the payload's
//! address in rsi, `CommonState::take_received_plaintext(&mut self, bytes: Payload)` too. `self` moves with the program's
//! own values, so it names no session; the box of the cipher that is in it stays where it is.

mod names;
mod proof;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use object::elf;

use crate::constants::Constants;
use crate::image::{Image, Machine};
use crate::slots::{self, Leads};
use crate::symbols::{self, Symbol, Wanted};
use crate::{Error, Hook, Library, Looked, Site};

use names::Kind;
use proof::{Code, Target};

/// The longest function that is looked at.
const LONGEST_FUNCTION: u64 = 1 << 16;
/// The most functions that are looked at; a program has each kind once for every unit that its compiler made of it.
const MOST_FUNCTIONS: usize = 512;
/// How long they may be together.
const LONGEST_TOGETHER: u64 = 1 << 22;

/// What rustls is in the file.
pub(crate) fn look<R: Read + Seek>(
    image: &mut Image<R>,
    constants: &mut Constants,
    looked: &mut Looked,
) -> Result<(), Error> {
    let symbols = symbols::find_in(
        image,
        elf::SHT_SYMTAB,
        &Wanted {
            names: &[],
            other: Some(names::is_wanted),
        },
    )?;
    if symbols.is_empty() && constants.told(image)?.rustls.is_none() {
        return Ok(());
    }
    let stripped = !image
        .sections
        .iter()
        .any(|section| section.kind == elf::SHT_SYMTAB);
    let why = if stripped {
        "the program is stripped, and rustls is known by its functions' names"
    } else if image.machine != Machine::X86 {
        "on this machine its code is not known"
    } else {
        match sites(image, &symbols)? {
            Ok(sites) => {
                looked.found(Library::Rustls, sites, Vec::new());
                return Ok(());
            }
            Err(why) => why,
        }
    };
    let version = &constants.told(image)?.rustls;
    let version = version.as_deref().unwrap_or("of an unknown version");
    looked.unsupported(Library::Rustls.name(), format!("rustls {version}: {why}"));
    Ok(())
}

/// A function with its code.
struct Function {
    kind: Kind,
    code: Code,
    offset: u64,
}

/// The sites, or what was not as expected.
fn sites<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
) -> Result<Result<Vec<Site>, &'static str>, Error> {
    let mut functions: Vec<Function> = Vec::new();
    let mut left = LONGEST_TOGETHER;
    for symbol in symbols
        .iter()
        .filter(|symbol| symbol.function && symbol.defined)
    {
        let Some(kind) = names::kind(symbol.name.as_bytes()) else {
            continue;
        };
        if functions
            .iter()
            .any(|function| function.code.start == symbol.address)
        {
            continue;
        }
        let Some((offset, size)) = place_of(image, symbol) else {
            continue;
        };
        let Some(fewer) = left
            .checked_sub(size)
            .filter(|_| functions.len() < MOST_FUNCTIONS)
        else {
            return Ok(Err("it has more code than is looked at"));
        };
        left = fewer;
        functions.extend(read(image, symbol, kind, offset, size)?);
    }
    if let Some(why) = joined(image, &functions)? {
        return Ok(Err(why));
    }
    Ok(key(&functions).map(|key| place(&functions, key)))
}

fn of(functions: &[Function], kind: Kind) -> impl Iterator<Item = &Function> {
    functions
        .iter()
        .filter(move |function| function.kind == kind)
}

/// What is missing because the compiler joined it with something else. Whoever should call the functions that bytes pass
/// through does, and has not a copy of them in itself.
fn joined<R: Read + Seek>(
    image: &mut Image<R>,
    functions: &[Function],
) -> Result<Option<&'static str>, Error> {
    for (kind, why) in [
        (
            Kind::Write,
            "CommonState::buffer_plaintext is not a function of its own",
        ),
        (
            Kind::Read,
            "CommonState::take_received_plaintext is not a function of its own",
        ),
        (Kind::Reader, "nothing was found that takes in plaintext"),
    ] {
        if of(functions, kind).next().is_none() {
            return Ok(Some(why));
        }
    }
    let callers = || of(functions, Kind::Reader).chain(of(functions, Kind::Writer));
    let slots: BTreeSet<u64> = callers()
        .flat_map(|caller| &caller.code.calls)
        .filter_map(|target| match target {
            Target::Slot(slot) => Some(*slot),
            Target::Address(_) => None,
        })
        .collect();
    let leads = slots::resolve(image, &slots)?;
    for caller in callers() {
        let kind = if caller.kind == Kind::Reader {
            Kind::Read
        } else {
            Kind::Write
        };
        let wanted: BTreeSet<u64> = of(functions, kind)
            .map(|function| function.code.start)
            .collect();
        let is_reached = caller.code.calls.iter().any(|target| match target {
            Target::Address(address) => wanted.contains(address),
            Target::Slot(slot) => {
                matches!(leads.get(slot), Some(Leads::Here(address)) if wanted.contains(address))
            }
        });
        if !is_reached {
            return Ok(Some(
                "some of its functions are joined with those that call them",
            ));
        }
    }
    Ok(None)
}

/// Where in a session the box of its cipher is, when the code shows that and how the bytes are laid out.
fn key(functions: &[Function]) -> Result<u32, &'static str> {
    // The payload is laid out in one way wherever it is used.
    let senders = || of(functions, Kind::Write).chain(of(functions, Kind::Encrypt));
    if !senders().any(|function| function.code.shows_chunks()) {
        return Err("how bytes are given to it is not as in the builds that are known");
    }
    if !of(functions, Kind::Read).all(|function| function.code.shows_bytes()) {
        return Err("how bytes come from it is not as in the builds that are known");
    }
    let layers: BTreeMap<u64, &Code> = of(functions, Kind::Layer)
        .map(|layer| (layer.code.start, &layer.code))
        .collect();
    let in_layers = senders()
        .flat_map(|function| function.code.given())
        .filter_map(|(target, into)| Some((layers.get(&target)?, into)))
        .flat_map(|(layer, into)| layer.ciphers().map(move |place| into.checked_add(place)));
    let mut keys = senders()
        .flat_map(|function| function.code.ciphers())
        .map(Some)
        .chain(in_layers);
    // The first that is another one ends it: there may be very many.
    match keys.next().flatten() {
        Some(key) if keys.all(|other| other == Some(key)) => Ok(key),
        _ => Err("where a session has its cipher is not as in the builds that are known"),
    }
}

fn place(functions: &[Function], key: u32) -> Vec<Site> {
    let mut sites = Vec::new();
    for function in functions {
        let hook = match function.kind {
            Kind::Write => Hook::RustlsWriteEnter { key },
            Kind::Read => Hook::RustlsRead { key },
            Kind::Handshake => Hook::RustlsTouch { key },
            Kind::Drop => Hook::RustlsFree { key },
            Kind::Encrypt | Kind::Layer | Kind::Reader | Kind::Writer => continue,
        };
        let Some(offset) = function
            .code
            .place
            .checked_sub(function.code.start)
            .and_then(|into| function.offset.checked_add(into))
        else {
            continue;
        };
        sites.push(Site { offset, hook });
        if function.kind == Kind::Write {
            sites.push(Site {
                offset,
                hook: Hook::LeaveReturn,
            });
        }
    }
    sites.sort_by_key(|site: &Site| site.offset);
    sites
}

/// Where the function of `symbol` is in the file, and how long it is.
fn place_of<R: Read + Seek>(image: &Image<R>, symbol: &Symbol) -> Option<(u64, u64)> {
    let (offset, left) = image.code(symbol.address)?;
    let is_sound = symbol.size > 0 && symbol.size <= left.min(LONGEST_FUNCTION);
    is_sound.then_some((offset, symbol.size))
}

fn read<R: Read + Seek>(
    image: &mut Image<R>,
    symbol: &Symbol,
    kind: Kind,
    offset: u64,
    size: u64,
) -> Result<Option<Function>, Error> {
    let length = usize::try_from(size).unwrap_or(0);
    Ok(image.at(offset, length)?.map(|bytes| Function {
        kind,
        code: if kind == Kind::Layer {
            Code::with_result(&bytes, symbol.address)
        } else {
            Code::new(&bytes, symbol.address)
        },
        offset,
    }))
}
