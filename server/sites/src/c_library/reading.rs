//! OpenSSL's reads with one probe instead of two: where bytes are copied (`copies`), or where the inner function has its result
//! and still has its arguments.
//!
//! `SSL_read` ends in a function that its session's methods name (`ssl3_read`), and that one asks another for bytes of
//! application data, once or, when a handshake came between, once more. Behind each such call the session, the place of the
//! bytes and that of their count are in registers that calls leave as they were, for the sake of that second time.
//!
//! Owns: to find these places by what is done with values (`values`), never by a version: the word of the methods that
//! `SSL_read` goes to, the function that all tables of methods have there, its calls by the arguments that they are given, and
//! the registers. A file of which any of this cannot be told has two probes for each read.
//!
//! A read that begins a handshake or answers with an alert sends, and whose session that is must be known before: what
//! sessions have for these, in the same tables, is touched. What reads and writes for `BIO_f_ssl` calls the functions within
//! `SSL_read` and `SSL_write` by itself, so that its calls are places too.

mod copies;

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use iced_x86::{Code, FlowControl, Instruction, Register};

use super::Count;
use super::methods::{
    self, APPLICATION_DATA, Tables, Word, address_of, addresses_of, called, code_at, of_table, only,
};
use super::places::{self, Function, enter_hook};
use super::values::{self, ARGUMENTS, Going, KEPT, State, To, Value};
use super::writing;
use crate::image::{Image, Machine};
use crate::looked::Saved;
use crate::symbols::Symbol;
use crate::x86::{self, Writes};
use crate::{Error, Hook, Site};

/// How far behind a call its place may be.
const NEAR: usize = 8;
/// Functions that send and are touched: for handshakes of both ends and alerts, of streams and of datagrams.
const MOST_TOUCHED: usize = 16;
/// The words of a table of `BIO` that are functions (`struct bio_method_st`), and more.
const OF_BIO: std::ops::Range<u64> = 2..14;

/// What tells of the words of tables of methods.
const ASKED: &[&str] = &["SSL_set_accept_state", "SSL_set_connect_state"];
/// Tables of methods whose sessions have reads of their own.
const QUIC: &[&str] = &[
    "OSSL_QUIC_client_method",
    "OSSL_QUIC_client_thread_method",
    "OSSL_QUIC_server_method",
];
const READ: &[&str] = &["SSL_read", "SSL_read_ex"];
/// The first tells the word: since 3.3 the second gives its arguments on to the third.
const WRITE: [&str; 3] = ["SSL_write", "SSL_write_ex", "SSL_write_ex2"];
const BIO: &str = "BIO_f_ssl";

/// The names of functions that are asked for, beside those that have sites by themselves.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    methods::METHODS
        .iter()
        .chain(ASKED)
        .chain(QUIC)
        .chain([&BIO])
        .copied()
}

/// A place at which a read has its result.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    offset: u64,
    /// By the registers in `KEPT`, what they hold there.
    kept: [Value; 6],
    session: Saved,
    bytes: Saved,
    count: Saved,
    /// What the call was told of whether it leaves the bytes where they are.
    peeks: Value,
    /// The word of the methods that the call went to.
    asked: Word,
}

/// What is found beside the sites in functions by their names.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) bio: OfBio,
    /// Do for the sites in `SSL_read` and `SSL_read_ex`; none where it cannot be told.
    pub(super) instead: Vec<Site>,
    /// Do for those in functions that write, where there are some for reads; none where it cannot be told.
    pub(super) of_writes: Vec<Site>,
}

/// The sites in what reads and writes for `BIO_f_ssl`.
#[derive(Default)]
pub(super) struct OfBio {
    /// What reads is done for by [`Reading::instead`] too.
    pub(super) reads: Vec<Site>,
    pub(super) writes: Vec<Site>,
}

/// What of this is in the file.
pub(super) fn look<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
) -> Result<Reading, Error> {
    let mut found = Reading::default();
    if image.machine != Machine::X86 {
        return Ok(found);
    }
    let (Some(read), Some(write)) = (
        called(image, symbols, READ)?,
        called(image, symbols, &WRITE[..1])?,
    ) else {
        return Ok(found);
    };
    let Some(bio) = bio(image, symbols, read, write)? else {
        return Ok(found);
    };
    found.bio = bio;
    let Some(tables) = methods::tables(image, symbols)? else {
        return Ok(found);
    };
    found.instead = instead(image, symbols, &tables, read)?.unwrap_or_default();
    if !found.instead.is_empty() {
        found.of_writes = writing::instead(image, &tables, [read, write])?.unwrap_or_default();
    }
    Ok(found)
}

/// The sites in what reads and writes for `BIO_f_ssl`; nothing where that is there and does neither as is known.
fn bio<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
    read: Word,
    write: Word,
) -> Result<Option<OfBio>, Error> {
    let addresses = addresses_of(symbols, BIO);
    if addresses.is_empty() {
        return Ok(Some(OfBio::default()));
    }
    let Some(address) = only(&addresses) else {
        return Ok(None);
    };
    let places = OF_BIO.map(|index| index.saturating_mul(8));
    let Some(functions) = of_table(image, address, places)? else {
        return Ok(None);
    };
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    let (mut has_read, mut has_write) = (false, false);
    let outer = |names: &[&str]| -> BTreeSet<u64> {
        names
            .iter()
            .flat_map(|name| addresses_of(symbols, name))
            .collect()
    };
    let (outer_read, outer_write) = (outer(READ), outer(&WRITE));
    for function in functions {
        let Some((offset, code)) = code_at(image, function)? else {
            continue;
        };
        let Some(walk) = values::walk(&code, State::new()) else {
            continue;
        };
        for going in walk.goings.iter().filter(|going| going.is_call) {
            let To::Address(to) = going.to else {
                continue;
            };
            // Told by the sites there.
            has_read |= outer_read.contains(&to);
            has_write |= outer_write.contains(&to);
            if going.state.of(Register::RSI) != Value::Argument(1)
                || outer_read.contains(&to)
                || outer_write.contains(&to)
            {
                continue;
            }
            let Some(word) = methods::word_within(image, to)? else {
                continue;
            };
            for (is_write, wanted, sites) in [(false, read, &mut reads), (true, write, &mut writes)]
            {
                if word == wanted
                    && let Some(pair) = around(&code, going, is_write, offset, function)
                    && !sites.contains(&pair[0])
                {
                    sites.extend(pair);
                }
            }
        }
    }
    has_read |= !reads.is_empty();
    has_write |= !writes.is_empty();
    Ok((has_read && has_write).then_some(OfBio { reads, writes }))
}

/// The two sites around a call with the place for the count that was given, of a function that is at `offset` of the file.
pub(super) fn around(
    code: &[Instruction],
    going: &Going,
    is_write: bool,
    offset: u64,
    start: u64,
) -> Option<[Site; 2]> {
    let of = |register| going.state.of(register);
    let count = if of(Register::RCX) == Value::Argument(3) {
        Count::Fourth
    } else if of(Register::R8) == Value::Argument(3) {
        Count::Fifth
    } else {
        return None;
    };
    let call = code.get(going.index)?;
    let behind = code.get(going.index.checked_add(1)?)?;
    if !x86::is_emulated(call) {
        return None;
    }
    let site = |address: u64, hook: Hook| Site {
        offset: offset.saturating_add(address.saturating_sub(start)),
        hook,
    };
    Some([
        site(call.ip(), enter_hook(is_write, count)?),
        site(behind.ip(), Hook::Leave),
    ])
}

fn instead<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
    tables: &Tables,
    read: Word,
) -> Result<Option<Vec<Site>>, Error> {
    let Some(peek) = called(image, symbols, &["SSL_peek", "SSL_peek_ex"])? else {
        return Ok(None);
    };
    let Some(end) = address_of(symbols, "SSL_shutdown") else {
        return Ok(None);
    };
    let Some([end]) = methods::words_with_session(image, end)?
        .as_deref()
        .and_then(|words| <[Word; 1]>::try_from(words).ok())
    else {
        return Ok(None);
    };
    let mut words = vec![read, peek, end];
    for name in ASKED {
        let Some(word) = methods::word_taken(image, symbols, name, read.field)? else {
            return Ok(None);
        };
        words.push(word);
    }
    if words.iter().any(|word| word.field != read.field) || read == peek {
        return Ok(None);
    }
    let Some(columns) = methods::columns(image, tables, &words)? else {
        return Ok(None);
    };
    let [reads, peeks, ends, handshakes @ ..] = columns.as_slice() else {
        return Ok(None);
    };
    let known = [read, peek];
    let (Some(reads), Some(peeks)) = (only(reads), only(peeks)) else {
        return Ok(None);
    };
    // These come to the same places perhaps.
    let (Some(reads), Some(peeks)) = (places_in(image, reads)?, places_in(image, peeks)?) else {
        return Ok(None);
    };
    let Some(mut sites) = told_apart(&reads, &peeks) else {
        return Ok(None);
    };
    // A read that finds nothing does not come there.
    if let Some(asked) = reads.first().map(|first| first.asked)
        && reads.iter().all(|read| read.asked == asked)
        && let Some(copies) = copies::places(image, tables, known, asked)?
    {
        sites = copies;
    }
    // Beside asking for bytes, whoever ends a session has an alert sent.
    let mut touched: BTreeSet<u64> = handshakes.iter().flatten().copied().collect();
    let mut alerts = Vec::new();
    for end in ends {
        let Some(words) = methods::words_with_session(image, *end)? else {
            return Ok(None);
        };
        alerts.extend(words);
    }
    alerts.retain(|word| reads.iter().all(|read| read.asked != *word));
    let Some(alert) = alerts.first().copied() else {
        return Ok(None);
    };
    if alerts.iter().any(|word| *word != alert) {
        return Ok(None);
    }
    let Some(columns) = methods::columns(image, tables, &[read, peek, alert])? else {
        return Ok(None);
    };
    touched.extend(columns.iter().skip(2).flatten());
    if touched.len() > MOST_TOUCHED {
        return Ok(None);
    }
    for address in touched {
        let Some((offset, code)) = code_at(image, address)? else {
            return Ok(None);
        };
        let place = places::entry(&code, &[Register::RDI]).unwrap_or(address);
        sites.push(Site {
            offset: offset.saturating_add(place.saturating_sub(address)),
            hook: Hook::Touch,
        });
    }
    let Some(quic) = quic(image, symbols, read)? else {
        return Ok(None);
    };
    sites.extend(quic);
    Ok(Some(sites))
}

/// The sites in what sessions of QUIC have for reads; nothing where that cannot be told.
fn quic<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
    read: Word,
) -> Result<Option<Vec<Site>>, Error> {
    let tables: BTreeSet<u64> = QUIC
        .iter()
        .flat_map(|name| addresses_of(symbols, name))
        .collect();
    let mut functions = BTreeSet::new();
    for table in tables {
        let Some(function) = of_table(image, table, std::iter::once(read.slot))?
            .as_ref()
            .and_then(only)
        else {
            return Ok(None);
        };
        functions.insert(function);
    }
    let mut sites = Vec::new();
    for address in functions {
        let Some((offset, left)) = image.code(address) else {
            return Ok(None);
        };
        let length = left.min(super::UNSIZED_FUNCTION);
        let bytes = image.some(offset, usize::try_from(length).unwrap_or(0))?;
        let function = Function::new(image.machine, &bytes, address, offset);
        places::choose(
            image.machine,
            &function,
            super::read(Count::Fourth),
            &mut sites,
        );
    }
    Ok(Some(sites))
}

/// The sites at `reads`. What comes to the same places and leaves the bytes where they are is told apart by a register whose
/// lower half is zero for a read alone.
fn told_apart(reads: &[Place], peeks: &[Place]) -> Option<Vec<Site>> {
    let of_half = |value: Value| match value {
        Value::Number(number) => Some(number & 0xffff_ffff),
        _ => None,
    };
    let mut sites = Vec::new();
    for read in reads {
        let same: Vec<&Place> = peeks
            .iter()
            .filter(|peek| peek.offset == read.offset)
            .collect();
        let mut unless = None;
        if !same.is_empty() {
            let kept = Saved::ALL.into_iter().zip(read.kept).enumerate();
            unless = Some(
                kept.into_iter()
                    .find(|(index, (_, value))| {
                        of_half(*value) == Some(0)
                            && same.iter().all(|peek| {
                                let there = peek.kept.get(*index).copied();
                                there.and_then(of_half).is_some_and(|number| number != 0)
                            })
                    })
                    .map(|(_, (register, _))| register)?,
            );
        }
        // They do what is believed of them.
        let is_read = of_half(read.peeks) == Some(0)
            && same
                .iter()
                .all(|peek| of_half(peek.peeks).is_some_and(|number| number != 0));
        if !is_read {
            return None;
        }
        sites.push(Site {
            offset: read.offset,
            hook: Hook::ReadDone {
                session: read.session,
                bytes: read.bytes,
                count: read.count,
                unless,
            },
        });
    }
    Some(sites)
}

/// The places behind the calls of the function at `address`, which gives its arguments on to another that asks for bytes; nothing
/// where it, or that, may give them on in another way as well.
fn places_in<R: Read + Seek>(
    image: &mut Image<R>,
    address: u64,
) -> Result<Option<Vec<Place>>, Error> {
    let Some((mut offset, mut code)) = code_at(image, address)? else {
        return Ok(None);
    };
    let mut state = State::new();
    // It may be a part of another that is for reads and for others.
    if let Some(jump) = code.iter().position(x86::ends_line)
        && let Some(instruction) = code.get(jump)
        && instruction.flow_control() == FlowControl::UnconditionalBranch
        && !code.iter().take(jump).any(x86::is_branch)
        && let Some(target) = x86::target(instruction)
        && let Some(line) = code.get(..=jump)
        && let Some(walk) = values::walk(line, state.clone())
        && let [going] = walk.goings.as_slice()
        && going.to == To::Address(target)
    {
        state = going.state.clone();
        let Some(there) = code_at(image, target)? else {
            return Ok(None);
        };
        (offset, code) = there;
    }
    let Some(start) = code.first().map(Instruction::ip) else {
        return Ok(None);
    };
    let Some(walk) = values::walk(&code, state) else {
        return Ok(None);
    };
    let mut places: Vec<Place> = Vec::new();
    for going in walk.goings {
        if !going.is_call {
            return Ok(None);
        }
        let Some(asked) = methods::word_of(&going) else {
            // A function that is called while the arguments happen to be in their registers still is none of those that ask.
            let asks = going.state.of(Register::RSI) == Value::Number(APPLICATION_DATA);
            if asks || matches!(going.to, To::Value(_)) {
                return Ok(None);
            }
            continue;
        };
        if !asks_for_bytes(&going) {
            return Ok(None);
        }
        let Some(place) = place_behind(&code, &going, asked) else {
            return Ok(None);
        };
        let place = Place {
            offset: offset.saturating_add(place.offset.saturating_sub(start)),
            ..place
        };
        match places.iter().find(|there| there.offset == place.offset) {
            Some(there) if *there == place => {}
            Some(_) => return Ok(None),
            None => places.push(place),
        }
    }
    Ok(Some(places).filter(|places| !places.is_empty()))
}

/// Whether this is a call for application data: of the session that was given, with a record type, none to be told back, and the
/// place, the room and, on the stack, the place of the count that were given.
fn asks_for_bytes(going: &Going) -> bool {
    let [session, kind, told, bytes, room, _] = ARGUMENTS.map(|register| going.state.of(register));
    session == Value::Argument(0)
        && kind == Value::Number(APPLICATION_DATA)
        && told == Value::Number(0)
        && bytes == Value::Argument(1)
        && room == Value::Argument(2)
        && going.state.top() == Value::Argument(3)
}

/// The place behind a call: the nearest instruction that the kernel emulates, else the next one; its offset is an address still.
fn place_behind(code: &[Instruction], going: &Going, asked: Word) -> Option<Place> {
    let behind = code.get(going.index.checked_add(1)?..)?;
    let mut writes = Writes::new();
    let mut place = behind.first()?.ip();
    for instruction in behind.iter().take(NEAR) {
        if x86::is_emulated(instruction) && instruction.code() != Code::Call_rel32_64 {
            place = instruction.ip();
            break;
        }
        let is_changed = writes
            .of(instruction)
            .iter()
            .any(|register| *register == Register::RAX || KEPT.contains(register));
        if is_changed || instruction.flow_control() != FlowControl::Next {
            break;
        }
    }
    let call = code.get(going.index)?.ip();
    if !x86::is_entered_once(code, call, place) {
        return None;
    }
    let kept = KEPT.map(|register| going.state.of(register));
    let holds = |value: Value| {
        let index = kept.iter().position(|kept| *kept == value)?;
        Saved::ALL.get(index).copied()
    };
    Some(Place {
        offset: place,
        session: holds(Value::Argument(0))?,
        bytes: holds(Value::Argument(1))?,
        count: holds(Value::Argument(3))?,
        peeks: going.state.of(Register::R9),
        kept,
        asked,
    })
}
