//! The tables of a session's methods, and what of a library goes to them.
//!
//! Owns: which word of a table a function goes to or takes, and which functions all tables have there. What is there that does
//! not fit, such as a second way to give the arguments on, makes all of it unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use iced_x86::{Code, FlowControl, Instruction, Register};

use super::UNSIZED_FUNCTION;
use super::values::{self, Going, State, To, Value, Walk};
use crate::Error;
use crate::image::Image;
use crate::slots::{self, Leads};
use crate::symbols::Symbol;
use crate::x86;

/// Application data (RFC 8446, section 5.1).
pub(super) const APPLICATION_DATA: u64 = 23;
/// How much of one that only gives an address.
const SHORT: u64 = 32;
/// Functions that a function may give its arguments on to.
const MOST_INNER: usize = 8;
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

/// A word of a table of methods: the field of the session that points to the table, and how far into it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Word {
    pub(super) field: u64,
    pub(super) slot: u64,
}

/// Where in the file the code at `address` is, and its instructions.
pub(super) fn code_at<R: Read + Seek>(
    image: &mut Image<R>,
    address: u64,
) -> Result<Option<(u64, Vec<Instruction>)>, Error> {
    some_code_at(image, address, UNSIZED_FUNCTION)
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

/// The function of this name; none where there are several.
pub(super) fn address_of(symbols: &[Symbol], name: &str) -> Option<u64> {
    only(&addresses_of(symbols, name))
}

pub(super) fn addresses_of(symbols: &[Symbol], name: &str) -> BTreeSet<u64> {
    symbols
        .iter()
        .filter(|symbol| symbol.function && symbol.defined && symbol.name == name)
        .map(|symbol| symbol.address)
        .collect()
}

/// The one of these.
pub(super) fn only(addresses: &BTreeSet<u64>) -> Option<u64> {
    match addresses.iter().collect::<Vec<_>>().as_slice() {
        [address] => Some(**address),
        _ => None,
    }
}

/// The ways through the function at `address`, which is given anything.
pub(super) fn walk<R: Read + Seek>(
    image: &mut Image<R>,
    address: u64,
) -> Result<Option<Walk>, Error> {
    Ok(code_at(image, address)?.and_then(|(_, code)| values::walk(&code, State::new())))
}

pub(super) fn word_of(going: &Going) -> Option<Word> {
    match going.to {
        To::Value(Value::Slot { field, slot }) => Some(Word { field, slot }),
        _ => None,
    }
}

/// What a walk gives its first two arguments on to: words of tables, and functions, of which some may only be called while the
/// arguments happen to be in their registers still. Nothing where it goes to what is not known with them, or asks for
/// application data by itself: what does that in other libraries is a part of it then.
fn given_on(walk: &Walk) -> Option<(Vec<Word>, BTreeSet<u64>)> {
    let (mut words, mut functions) = (Vec::new(), BTreeSet::new());
    for going in &walk.goings {
        if going.state.of(Register::RDI) != Value::Argument(0) {
            continue;
        }
        match (going.state.of(Register::RSI), going.to) {
            (Value::Number(APPLICATION_DATA), _) => return None,
            (Value::Argument(1), To::Address(address)) => {
                functions.insert(address);
            }
            (Value::Argument(1), To::Value(_)) => words.push(word_of(going)?),
            _ => {}
        }
    }
    Some((words, functions))
}

/// The one word of the methods to which those of these functions that there are give on their arguments, by themselves or by a
/// function between.
pub(super) fn called<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
    names: &[&str],
) -> Result<Option<Word>, Error> {
    let mut words = Vec::new();
    for name in names {
        let addresses = addresses_of(symbols, name);
        if addresses.is_empty() {
            continue;
        }
        let Some(address) = only(&addresses) else {
            return Ok(None);
        };
        let Some((mut here, functions)) = walk(image, address)?.as_ref().and_then(given_on) else {
            return Ok(None);
        };
        if functions.len() > MOST_INNER {
            return Ok(None);
        }
        for function in functions {
            here.extend(word_within(image, function)?);
        }
        if here.is_empty() {
            return Ok(None);
        }
        words.extend(here);
    }
    let first = words.first().copied();
    Ok(first.filter(|first| words.iter().all(|word| word == first)))
}

/// The one word of the methods to which the function at `address` gives on its arguments by itself.
pub(super) fn word_within<R: Read + Seek>(
    image: &mut Image<R>,
    address: u64,
) -> Result<Option<Word>, Error> {
    let words = walk(image, address)?.as_ref().and_then(given_on);
    let words = words.map(|(words, _)| words).unwrap_or_default();
    let first = words.first().copied();
    Ok(first.filter(|first| words.iter().all(|word| word == first)))
}

/// The words of tables that the function at `address` goes to with the session that it was given.
pub(super) fn words_with_session<R: Read + Seek>(
    image: &mut Image<R>,
    address: u64,
) -> Result<Option<Vec<Word>>, Error> {
    Ok(walk(image, address)?.map(|walk| {
        let mut words: Vec<Word> = Vec::new();
        for going in &walk.goings {
            if going.state.of(Register::RDI) == Value::Argument(0)
                && let Some(word) = word_of(going)
                && !words.contains(&word)
            {
                words.push(word);
            }
        }
        words
    }))
}

/// The one word that a function takes out of the methods, which `field` points to.
pub(super) fn word_taken<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
    name: &str,
    field: u64,
) -> Result<Option<Word>, Error> {
    let Some(address) = address_of(symbols, name) else {
        return Ok(None);
    };
    Ok(walk(image, address)?.and_then(|walk| {
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

/// Tables of methods, and what may be some; of each whether a function that other files may call gives it.
pub(super) type Tables = BTreeMap<u64, bool>;

/// The tables in the file; nothing where a function for one of them does more than to give it.
pub(super) fn tables<R: Read + Seek>(
    image: &mut Image<R>,
    symbols: &[Symbol],
) -> Result<Option<Tables>, Error> {
    let exported: BTreeSet<u64> = METHODS
        .iter()
        .flat_map(|name| addresses_of(symbols, name))
        .collect();
    let mut tables = Tables::new();
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
    Ok(Some(tables))
}

/// For each of `words`, the functions that `tables` have there. `words` begins with two by which a table is known.
pub(super) fn columns<R: Read + Seek>(
    image: &mut Image<R>,
    tables: &Tables,
    words: &[Word],
) -> Result<Option<Vec<BTreeSet<u64>>>, Error> {
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

/// What the words of the table that the function at `function` gives lead to, for those so far into it; nothing where it does not give
/// one.
pub(super) fn of_table<R: Read + Seek>(
    image: &mut Image<R>,
    function: u64,
    places: impl Iterator<Item = u64>,
) -> Result<Option<BTreeSet<u64>>, Error> {
    let Some(table) = table_of(image, function)? else {
        return Ok(None);
    };
    let places = places
        .filter_map(|place| table.checked_add(place))
        .collect();
    let leads = slots::resolve(image, &places)?;
    Ok(Some(
        leads
            .into_values()
            .filter_map(|leads| match leads {
                Leads::Here(address) => Some(address),
                Leads::Elsewhere(_) => None,
            })
            .collect(),
    ))
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
