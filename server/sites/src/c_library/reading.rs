//! OpenSSL's reads with one probe instead of two: where the inner function has its result and still has its arguments.
//!
//! `SSL_read` ends in a function that its session's methods name (`ssl3_read`), and that one asks another for bytes of
//! application data, once or, when a handshake came between, once more. Behind each such call the session, the place of the
//! bytes and that of their count are in registers that calls leave as they were, for the sake of that second time.
//!
//! Owns: to find these places by what is done with values (`values`), never by a version: the word of the methods that
//! `SSL_read` goes to, the function that all tables of methods have there, its calls by the arguments that they are given, and
//! the registers. A file of which any of this cannot be told has two probes for each read.
//!
//! A read that begins a handshake sends, and whose session that is must be known before: what sessions have for their
//! handshakes, in the same tables, is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use iced_x86::{Code, FlowControl, Instruction, Register};

use super::places;
use super::values::{self, ARGUMENTS, Going, KEPT, State, To, Value, Walk};
use crate::image::{Image, Machine};
use crate::looked::Saved;
use crate::slots::{self, Leads};
use crate::symbols::Symbol;
use crate::x86::{self, Writes};
use crate::{Error, Hook, Site};

/// How much is looked at of a function whose size nobody tells.
const UNSIZED: u64 = 1 << 12;
/// Application data (RFC 8446, section 5.1).
const APPLICATION_DATA: u64 = 23;
/// How much of one that only gives an address.
const SHORT: u64 = 32;
/// Functions that a read may give its arguments on to.
const MOST_INNER: usize = 8;
/// How far behind a call its place may be.
const NEAR: usize = 8;
/// Functions beside an exported one that give tables of methods too, each way.
const MOST_BESIDE: usize = 64;
/// They are this far apart, in bytes: as compilers align functions.
const ALIGNED: u64 = 16;

/// The functions that give tables of methods and that other files may call.
pub(super) const METHODS: &[&str] = &[
    "TLS_method",
    "TLS_server_method",
    "TLS_client_method",
    "TLSv1_2_method",
    "TLSv1_2_server_method",
    "TLSv1_2_client_method",
    "DTLS_method",
    "DTLS_server_method",
    "DTLS_client_method",
];
/// What tells of the words of these tables.
pub(super) const ASKED: &[&str] = &["SSL_set_accept_state", "SSL_set_connect_state"];

/// A word of a table of methods: the field of the session that points to the table, and how far into it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Word {
    field: u64,
    slot: u64,
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
}

/// The sites that do for those in `SSL_read` and `SSL_read_ex`; none where it cannot be told.
pub(super) fn sites<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
) -> Result<Vec<Site>, Error> {
    Ok(if image.machine == Machine::X86 {
        find(image, symbols)?.unwrap_or_default()
    } else {
        Vec::new()
    })
}

fn find<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
) -> Result<Option<Vec<Site>>, Error> {
    let Some(read) = word_called(image, symbols, &["SSL_read", "SSL_read_ex"])? else {
        return Ok(None);
    };
    let Some(peek) = word_called(image, symbols, &["SSL_peek", "SSL_peek_ex"])? else {
        return Ok(None);
    };
    let mut words = vec![read, peek];
    for name in ASKED {
        let Some(word) = word_taken(image, symbols, name, read.field)? else {
            return Ok(None);
        };
        words.push(word);
    }
    if peek.field != read.field || read == peek {
        return Ok(None);
    }
    let Some(columns) = columns(image, symbols, &words)? else {
        return Ok(None);
    };
    let [reads, peeks, handshakes @ ..] = columns.as_slice() else {
        return Ok(None);
    };
    let (Some(reads), Some(peeks)) = (only(reads), only(peeks)) else {
        return Ok(None);
    };
    // These come to the same places perhaps.
    let (Some(reads), Some(peeks)) = (places_in(image, reads)?, places_in(image, peeks)?) else {
        return Ok(None);
    };
    let mut sites = Vec::new();
    for place in reads {
        let same: Vec<&Place> = peeks
            .iter()
            .filter(|peek| peek.offset == place.offset)
            .collect();
        let unless = told_apart(&place, &same);
        if unless.is_none() && !same.is_empty() {
            return Ok(None);
        }
        sites.push(Site {
            offset: place.offset,
            hook: Hook::ReadDone {
                session: place.session,
                bytes: place.bytes,
                count: place.count,
                unless,
            },
        });
    }
    let touched: BTreeSet<u64> = handshakes.iter().flatten().copied().collect();
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
    Ok(Some(sites))
}

/// The one of these.
fn only(addresses: &BTreeSet<u64>) -> Option<u64> {
    match addresses.iter().collect::<Vec<_>>().as_slice() {
        [address] => Some(**address),
        _ => None,
    }
}

/// The register by which a read is told apart from others that come to the same place and leave the bytes where they are: zero for
/// a read alone.
fn told_apart(read: &Place, others: &[&Place]) -> Option<Saved> {
    if others.is_empty() {
        return None;
    }
    let mut kept = Saved::ALL.into_iter().zip(read.kept).enumerate();
    let (_, (register, _)) = kept.find(|(index, (_, value))| {
        *value == Value::Number(0)
            && others.iter().all(|other| {
                matches!(other.kept.get(*index), Some(Value::Number(number)) if *number != 0)
            })
    })?;
    Some(register)
}

/// Where in the file the code at `address` is, and its instructions.
fn code_at<R: Read + Seek>(
    image: &mut Image<R>,
    address: u64,
) -> Result<Option<(u64, Vec<Instruction>)>, Error> {
    some_code_at(image, address, UNSIZED)
}

fn some_code_at<R: Read + Seek>(
    image: &mut Image<R>,
    address: u64,
    length: u64,
) -> Result<Option<(u64, Vec<Instruction>)>, Error> {
    let Some((offset, left)) = image.code(address) else {
        return Ok(None);
    };
    let length = usize::try_from(left.min(length)).unwrap_or(0);
    let bytes = image.some(offset, length)?;
    Ok(Some((offset, x86::decode(&bytes, address))))
}

fn address_of(symbols: &[Symbol], name: &str) -> Option<u64> {
    let symbol = symbols
        .iter()
        .find(|symbol| symbol.function && symbol.defined && symbol.name == name)?;
    Some(symbol.address)
}

/// The ways through the function at `address`, which is given anything.
fn walk<R: Read + Seek>(image: &mut Image<R>, address: u64) -> Result<Option<Walk>, Error> {
    Ok(code_at(image, address)?.and_then(|(_, code)| values::walk(&code, State::new())))
}

/// Whether the first two arguments are those that were given.
fn gives_on(going: &Going) -> bool {
    going.state.of(Register::RDI) == Value::Argument(0)
        && going.state.of(Register::RSI) == Value::Argument(1)
}

fn word_of(going: &Going) -> Option<Word> {
    match going.to {
        To::Value(Value::Slot { field, slot }) => Some(Word { field, slot }),
        _ => None,
    }
}

/// The one word of the methods to which those of these functions that there are give on their arguments, by themselves or by
/// the functions to which they give them on.
fn word_called<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
    names: &[&str],
) -> Result<Option<Word>, Error> {
    let mut found: Option<Word> = None;
    for name in names {
        let Some(address) = address_of(symbols, name) else {
            continue;
        };
        let Some(outer) = walk(image, address)? else {
            return Ok(None);
        };
        let mut all: Vec<Word> = outer
            .goings
            .iter()
            .filter(|going| gives_on(going))
            .filter_map(word_of)
            .collect();
        if all.is_empty() {
            let inner: BTreeSet<u64> = outer
                .goings
                .iter()
                .filter(|going| gives_on(going))
                .filter_map(|going| match going.to {
                    To::Address(address) => Some(address),
                    To::Value(_) => None,
                })
                .collect();
            if inner.len() > MOST_INNER {
                return Ok(None);
            }
            for address in inner {
                let Some(inner) = walk(image, address)? else {
                    return Ok(None);
                };
                let words = inner.goings.iter().filter(|going| gives_on(going));
                all.extend(words.filter_map(word_of));
            }
        }
        all.extend(found);
        let Some(first) = all.first().copied() else {
            return Ok(None);
        };
        if all.iter().any(|word| *word != first) {
            return Ok(None);
        }
        found = Some(first);
    }
    Ok(found)
}

/// The one word that a function takes out of the methods, which `field` points to.
fn word_taken<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
    name: &str,
    field: u64,
) -> Result<Option<Word>, Error> {
    let Some(symbol) = symbols
        .iter()
        .find(|symbol| symbol.function && symbol.defined && symbol.name == name)
    else {
        return Ok(None);
    };
    let Some((_, mut code)) = code_at(image, symbol.address)? else {
        return Ok(None);
    };
    let end = symbol.address.saturating_add(symbol.size);
    code.retain(|instruction| symbol.size == 0 || instruction.ip() < end);
    Ok(values::walk(&code, State::new()).and_then(|walk| {
        let words: Vec<u64> = walk
            .taken
            .into_iter()
            .filter(|(of, _)| *of == field)
            .map(|(_, slot)| slot)
            .collect();
        match words.as_slice() {
            [slot] => Some(Word { field, slot: *slot }),
            _ => None,
        }
    }))
}

/// For each of `words`, the functions that tables of methods have there. `words` begins with reads and peeks.
fn columns<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
    words: &[Word],
) -> Result<Option<Vec<BTreeSet<u64>>>, Error> {
    let exported: BTreeSet<u64> = METHODS
        .iter()
        .filter_map(|name| address_of(symbols, name))
        .collect();
    let mut tables = BTreeMap::new();
    for function in exported {
        let Some(table) = table_of(image, function)? else {
            return Ok(None);
        };
        tables.insert(table, true);
        // Those that no other file may call are beside these.
        for way in [ALIGNED, ALIGNED.wrapping_neg()] {
            let mut beside = function.wrapping_add(way);
            for _ in 0..MOST_BESIDE {
                let Some(table) = table_of(image, beside)? else {
                    break;
                };
                tables.entry(table).or_insert(false);
                beside = beside.wrapping_add(way);
            }
        }
    }
    let places = tables
        .keys()
        .flat_map(|table| words.iter().filter_map(|word| table.checked_add(word.slot)));
    let leads = slots::resolve(image, &places.collect())?;
    let of = |table: u64, word: &Word| match leads.get(&table.checked_add(word.slot)?) {
        Some(Leads::Here(address)) => Some(*address),
        _ => None,
    };
    let rows: Vec<(bool, Vec<Option<u64>>)> = tables
        .iter()
        .map(|(table, is_exported)| {
            let row = words.iter().map(|word| of(*table, word)).collect();
            (*is_exported, row)
        })
        .collect();
    let Some(first) = rows
        .iter()
        .find_map(|(is_exported, row)| is_exported.then_some(row.clone()))
    else {
        return Ok(None);
    };
    let mut columns = vec![BTreeSet::new(); words.len()];
    for (is_exported, row) in rows {
        // What is beside may be anything that gives an address.
        let is_table = row
            .iter()
            .zip(&first)
            .take(2)
            .any(|(here, first)| here == first);
        if !is_exported && !is_table {
            continue;
        }
        for (column, address) in columns.iter_mut().zip(row) {
            let Some(address) = address else {
                return Ok(None);
            };
            column.insert(address);
        }
    }
    Ok(Some(columns))
}

/// The table that the function at `address` gives, or the one that it jumps to at once, when that is all it does.
fn table_of<R: Read + Seek>(image: &mut Image<R>, address: u64) -> Result<Option<u64>, Error> {
    let mut address = address;
    for _ in 0..2 {
        let Some((_, code)) = some_code_at(image, address, SHORT)? else {
            return Ok(None);
        };
        let mut code = code.iter().filter(|instruction| !x86::is_mark(instruction));
        let Some(first) = code.next() else {
            return Ok(None);
        };
        if first.is_jmp_short_or_near() {
            address = first.near_branch_target();
            continue;
        }
        let is_all = code
            .next()
            .is_some_and(|next| next.flow_control() == FlowControl::Return);
        let to = first.op0_register();
        return Ok(match first.code() {
            Code::Lea_r64_m if to == Register::RAX && first.memory_base() == Register::RIP => {
                Some(first.ip_rel_memory_address())
            }
            // In a program that is loaded where its file says.
            Code::Mov_r32_imm32 if to == Register::EAX => Some(first.immediate(1)),
            Code::Mov_rm64_imm32 if to == Register::RAX => Some(first.immediate(1)),
            _ => None,
        }
        .filter(|_| is_all));
    }
    Ok(None)
}

/// The places behind the calls of the function at `address`, which gives its arguments on to another that asks for bytes.
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
        let To::Value(to) = going.to else {
            continue;
        };
        if !matches!(to, Value::Slot { .. }) || !going.is_call || !asks_for_bytes(&going) {
            return Ok(None);
        }
        let Some(place) = place_behind(&code, &going) else {
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
fn place_behind(code: &[Instruction], going: &Going) -> Option<Place> {
    let behind = code.get(going.index.checked_add(1)?..)?;
    let mut writes = Writes::new();
    let mut place = behind.first()?.ip();
    for instruction in behind.iter().take(NEAR) {
        if x86::is_emulated(instruction) {
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
        kept,
    })
}
