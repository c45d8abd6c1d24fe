//! Where bytes that were decrypted are copied to whoever reads them: in what a session's methods have for bytes of any type.
//!
//! Owns: to find that place by what it is given: the one call of a function that is called `memcpy`, with somewhere in the
//! reader's buffer for its first argument. No other function may be given the buffer. What the session is, of which type the bytes are
//! and whether they are left where they are must be in registers or in the frame there, in all functions that methods have for
//! this.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use iced_x86::{Instruction, Register};

use super::super::flow::{self, Frame, Going, Held};
use super::super::methods::{self, Tables, Word, code_at};
use super::super::values::{ARGUMENTS, KEPT};
use crate::Error;
use crate::image::Image;
use crate::looked::{Kept, Saved};
use crate::slots::{self, Leads};
use crate::x86;
use crate::{Hook, Site};

/// The arguments of what asks for bytes (`ssl_read_bytes`).
const SESSION: usize = 0;
const TYPE: usize = 1;
const BUFFER: usize = 3;
const PEEKS: usize = 5;
/// What copies.
const COPY: &[&[u8]] = &[b"memcpy", b"memmove"];
/// How much of a way to another file's function is looked at.
const SHORT: usize = 3;

/// The places in all functions that `tables`, which are known by two words, have for what is asked; nothing where one has none
/// that is known.
pub(super) fn places<R: Read + Seek>(
    image: &mut Image<R>,
    tables: &Tables,
    [read, peek]: [Word; 2],
    asked: Word,
) -> Result<Option<Vec<Site>>, Error> {
    let columns = methods::columns(image, tables, &[read, peek, asked])?.unwrap_or_default();
    let Some(functions) = columns.get(2) else {
        return Ok(None);
    };
    let mut sites = Vec::new();
    for function in functions {
        let Some(site) = place(image, *function)? else {
            return Ok(None);
        };
        if !sites.contains(&site) {
            sites.push(site);
        }
    }
    Ok(Some(sites).filter(|sites| !sites.is_empty()))
}

fn place<R: Read + Seek>(image: &mut Image<R>, function: u64) -> Result<Option<Site>, Error> {
    let Some(goings) = flow::goings(image, function)? else {
        return Ok(None);
    };
    let with_buffer: Vec<Going> = goings.into_iter().filter(is_given_buffer).collect();
    let [Going { from: call, frame }] = with_buffer.as_slice() else {
        return Ok(None);
    };
    if !is_buffer(frame, Register::RDI) {
        return Ok(None);
    }
    if !x86::is_emulated(call) || !copies_bytes(image, call)? {
        return Ok(None);
    }
    let (Some(session), Some(kind), Some(peeks)) = (
        whole(frame, SESSION),
        lower(frame, TYPE),
        lower(frame, PEEKS),
    ) else {
        return Ok(None);
    };
    let Some((offset, _)) = image.code(call.ip()) else {
        return Ok(None);
    };
    Ok(Some(Site {
        offset,
        hook: Hook::Copied {
            session,
            kind,
            peeks,
        },
    }))
}

fn is_buffer(frame: &Frame, register: Register) -> bool {
    matches!(
        frame.register(register),
        Some(Held::Whole(BUFFER) | Held::From(BUFFER))
    )
}

/// Whether the buffer is among the arguments. In a call it may lie where it came, while nobody is meant to have it; one that goes on
/// elsewhere for good gives on what it has.
fn is_given_buffer(going: &Going) -> bool {
    ARGUMENTS.iter().enumerate().any(|(index, register)| {
        is_buffer(&going.frame, *register) && (index != BUFFER || !x86::is_call(&going.from))
    })
}

/// Where all of an argument is kept.
fn whole(frame: &Frame, argument: usize) -> Option<Kept> {
    kept(frame, |held| held == Held::Whole(argument), 8)
}

/// Where the lower half of an argument is kept.
fn lower(frame: &Frame, argument: usize) -> Option<Kept> {
    let is_it = |held| held == Held::Whole(argument) || held == Held::Lower(argument);
    kept(frame, is_it, 4)
}

fn kept(frame: &Frame, is_it: impl Fn(Held) -> bool, aligned: u64) -> Option<Kept> {
    let in_register = KEPT
        .into_iter()
        .zip(Saved::ALL)
        .find(|(register, _)| frame.register(*register).is_some_and(&is_it))
        .map(|(_, saved)| Kept::Register(saved));
    in_register.or_else(|| {
        frame
            .words()
            .find(|(distance, held)| {
                *distance < u64::from(Kept::REACH) && distance % aligned == 0 && is_it(*held)
            })
            .and_then(|(distance, _)| u8::try_from(distance).ok())
            .map(Kept::Frame)
    })
}

/// Whether a call is of one of the functions that copy, in this file or another.
fn copies_bytes<R: Read + Seek>(image: &mut Image<R>, call: &Instruction) -> Result<bool, Error> {
    let Some(target) = x86::target(call) else {
        return Ok(false);
    };
    let Some((_, code)) = code_at(image, target)? else {
        return Ok(false);
    };
    let Some(slot) = code.iter().take(SHORT).find_map(x86::slot) else {
        return Ok(false);
    };
    let leads = slots::resolve(image, &BTreeSet::from([slot]))?;
    Ok(match leads.get(&slot) {
        Some(Leads::Elsewhere(name)) => COPY.contains(&name.as_slice()),
        _ => false,
    })
}
