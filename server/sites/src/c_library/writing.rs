//! OpenSSL's writes with one probe instead of two: where what was written is about to be encrypted, which is done to each byte once
//! only, however often the call is tried again and however much of it is taken. (A datagram that could not be sent is made again.)
//!
//! `SSL_write` ends in a function that its session's methods name (`ssl3_write`), and that one has another (`ssl_write_bytes`)
//! send bytes of application data, which cuts them into records and gives each, or some at a time, to one that encrypts. What an
//! earlier call left unsent it sends first, by a function that it also gives what it has encrypted itself, many records at once.
//!
//! Owns: to find these calls by what they are given, in all functions that tables of methods have for this, never by a version.
//! Where there is anything else, writes have two probes each.

use std::io::{Read, Seek};

use iced_x86::Register;

use super::flow::{self, Frame, Going, Held};
use super::methods::{self, APPLICATION_DATA, Tables, Word, code_at, only, word_of};
use super::places;
use super::values::{self, ARGUMENTS, State, Value};
use crate::image::Image;
use crate::x86;
use crate::{Error, Hook, Site};

/// The arguments of what writes bytes.
const SESSION: usize = 0;
const TYPE: usize = 1;
const BUFFER: usize = 2;
const LENGTH: usize = 3;
/// What is as they were given where bytes begin to be encrypted.
const GIVEN: [Register; 5] = [
    Register::RDI,
    Register::RSI,
    Register::RDX,
    Register::RCX,
    Register::R8,
];

/// What a function does with bytes that it is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sends {
    /// Encrypts as many as the counts say that rcx points to.
    Records,
    /// Sends what was encrypted before: as many as the session says.
    Rest,
    /// Encrypts all that was given.
    All,
    /// Not told by what it is given.
    Unknown,
}

/// The sites that do for those in functions that write; nothing where it cannot be told. `read` and `write` are where these go to in
/// `tables`.
pub(super) fn instead<R: Read + Seek>(
    image: &mut Image<R>,
    tables: &Tables,
    [read, write]: [Word; 2],
) -> Result<Option<Vec<Site>>, Error> {
    let Some(columns) = methods::columns(image, tables, &[read, write])? else {
        return Ok(None);
    };
    let Some(inner) = columns.get(1).and_then(only) else {
        return Ok(None);
    };
    let Some(bytes) = word_for_bytes(image, inner)? else {
        return Ok(None);
    };
    let Some(columns) = methods::columns(image, tables, &[read, write, bytes])? else {
        return Ok(None);
    };
    let mut sites: Vec<Site> = Vec::new();
    for function in columns.iter().skip(2).flatten() {
        let Some(goings) = flow::goings(image, *function)? else {
            return Ok(None);
        };
        let Some(here) = places_among(image, &goings)? else {
            return Ok(None);
        };
        for site in here {
            if !sites.contains(&site) {
                sites.push(site);
            }
        }
    }
    // Of streams there are always some.
    let is_for_streams =
        |sites: &Vec<Site>| sites.iter().any(|site| site.hook == Hook::EncryptsRecords);
    Ok(Some(sites).filter(is_for_streams))
}

/// The one word of the methods by which the function at `address` has application data written.
fn word_for_bytes<R: Read + Seek>(
    image: &mut Image<R>,
    address: u64,
) -> Result<Option<Word>, Error> {
    let Some((_, code)) = code_at(image, address)? else {
        return Ok(None);
    };
    let Some(walk) = values::walk(&code, State::new()) else {
        return Ok(None);
    };
    let mut found = None;
    for going in &walk.goings {
        let given = ARGUMENTS.map(|register| going.state.of(register));
        let [session, kind, bytes, length, count, _] = given;
        if session != Value::Argument(0) || kind != Value::Number(APPLICATION_DATA) {
            continue;
        }
        let is_known = [bytes, length, count] == [1, 2, 3].map(Value::Argument);
        let Some(word) = word_of(going).filter(|_| is_known) else {
            return Ok(None);
        };
        if found.is_some_and(|found| found != word) {
            return Ok(None);
        }
        found = Some(word);
    }
    Ok(found)
}

/// The places of a function that goes elsewhere like this.
fn places_among<R: Read + Seek>(
    image: &mut Image<R>,
    goings: &[Going],
) -> Result<Option<Vec<Site>>, Error> {
    let of = |wanted: Sends| -> Vec<&Going> {
        goings
            .iter()
            .filter(|going| is_given_bytes(&going.frame) && sends(&going.frame) == wanted)
            .collect()
    };
    let here = |image: &Image<R>, going: &Going, hook: Hook| {
        // A jump on a condition would be met where it is not taken.
        let is_certain = x86::is_emulated(&going.from) && !x86::is_branch(&going.from);
        let (offset, _) = image.code(going.from.ip()).filter(|_| is_certain)?;
        Some(Site { offset, hook })
    };
    match (
        of(Sends::Records).as_slice(),
        of(Sends::Rest).as_slice(),
        of(Sends::Unknown).as_slice(),
        of(Sends::All).as_slice(),
    ) {
        ([records], [rest], others @ ([] | [_]), []) => {
            // What is given what the function has encrypted itself is what sends the rest.
            let target = x86::target(&rest.from);
            let is_known = is_of_type(&records.frame)
                && is_of_type(&rest.frame)
                && target.is_some()
                && target != x86::target(&records.from)
                && others
                    .iter()
                    .all(|other| x86::target(&other.from) == target);
            if !is_known {
                return Ok(None);
            }
            let begins = begins(image, records)?;
            let others = others
                .iter()
                .map(|other| here(image, other, Hook::Encrypts));
            Ok([begins, here(image, rest, Hook::Touch)]
                .into_iter()
                .chain(others)
                .collect())
        }
        ([], [], [], [all]) if is_of_type(&all.frame) => {
            Ok(here(image, all, Hook::Encrypts).map(|site| vec![site]))
        }
        _ => Ok(None),
    }
}

/// Whether something of the bytes, with their session, is among the arguments, and was put there for this call: nothing is in them
/// by chance where there was another call before.
fn is_given_bytes(frame: &Frame) -> bool {
    frame.has_called()
        && frame.register(Register::RDI) == Some(Held::Whole(SESSION))
        && matches!(
            frame.register(Register::RDX),
            Some(Held::Whole(BUFFER) | Held::From(BUFFER))
        )
}

fn is_of_type(frame: &Frame) -> bool {
    matches!(
        frame.register(Register::RSI),
        Some(Held::Whole(TYPE) | Held::Lower(TYPE))
    )
}

fn sends(frame: &Frame) -> Sends {
    match frame.register(Register::RCX) {
        Some(Held::InFrame) if frame.register(Register::R8).is_none() => Sends::Records,
        Some(Held::Field(SESSION)) => Sends::Rest,
        Some(Held::Whole(LENGTH)) => Sends::All,
        _ => Sends::Unknown,
    }
}

/// The beginning of what encrypts records, which others call as well; or else the call.
fn begins<R: Read + Seek>(image: &mut Image<R>, call: &Going) -> Result<Option<Site>, Error> {
    let Some(target) = x86::target(&call.from) else {
        return Ok(None);
    };
    let Some((_, code)) = code_at(image, target)? else {
        return Ok(None);
    };
    let is_call = x86::is_call(&call.from) && x86::is_emulated(&call.from);
    let place = places::entry(&code, &GIVEN).or_else(|| is_call.then(|| call.from.ip()));
    Ok(place.and_then(|place| {
        let (offset, _) = image.code(place)?;
        let hook = Hook::EncryptsRecords;
        Some(Site { offset, hook })
    }))
}
