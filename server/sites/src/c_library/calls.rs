//! Which functions of a library only hand on to each other, or to those of another.
//!
//! Owns: to see direct calls and jumps, those through the procedure linkage table too, and on `x86_64` those through the
//! words of the table of offsets, as compilers make them that are told to do without linkage tables.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use iced_x86::Code;

use super::Role;
use super::places::Function;
use crate::Error;
use crate::arm;
use crate::image::{Image, Machine};
use crate::slots::{self, Leads};
use crate::x86;

/// The longest entry of a procedure linkage table, with a mark for indirect jumps before the jump.
const LONGEST_ENTRY: usize = 16;

/// For each function, whether another tells what it would tell: its bytes pass through another that it calls, or it calls
/// one of those that `others` names and other files have.
pub(super) fn duplicates<R: Read + Seek>(
    image: &mut Image<R>,
    known: &[(Role, Function)],
    others: &[&str],
) -> Result<Vec<bool>, Error> {
    // Where each goes by way of a word, beside where it goes directly.
    let mut by_way = Vec::with_capacity(known.len());
    for (_, function) in known {
        let mut words: BTreeSet<u64> = function.slots.iter().copied().collect();
        for &address in &function.targets {
            if known.iter().all(|(_, other)| other.address != address)
                && let Some(slot) = slot(image, address)?
            {
                words.insert(slot);
            }
        }
        by_way.push(words);
    }
    let leads = slots::resolve(image, &by_way.iter().flatten().copied().collect())?;
    let goes_to: Vec<Vec<usize>> = known
        .iter()
        .zip(&by_way)
        .map(|((role, function), words)| next(known, *role, function, words, &leads))
        .collect();
    Ok(known
        .iter()
        .zip(&by_way)
        .enumerate()
        .map(|(index, (_, words))| {
            let is_of_another = words.iter().any(|word| {
                matches!(leads.get(word), Some(Leads::Elsewhere(name))
                    if others.iter().any(|other| other.as_bytes() == name))
            });
            // Of those that go around in a circle one tells.
            let after = reached(&goes_to, index);
            is_of_another
                || after
                    .iter()
                    .any(|other| *other < index || !reached(&goes_to, *other).contains(&index))
        })
        .collect())
}

/// The functions that `function` goes to and that tell bytes of the same direction.
fn next(
    known: &[(Role, Function)],
    role: Role,
    function: &Function,
    words: &BTreeSet<u64>,
    leads: &BTreeMap<u64, Leads>,
) -> Vec<usize> {
    let Role::Bytes { write, .. } = role else {
        return Vec::new();
    };
    let here = words.iter().filter_map(|word| match leads.get(word) {
        Some(Leads::Here(address)) => Some(*address),
        _ => None,
    });
    let addresses: BTreeSet<u64> = function.targets.iter().copied().chain(here).collect();
    known
        .iter()
        .enumerate()
        .filter(|(_, (role, other))| {
            matches!(role, Role::Bytes { write: same, .. } if *same == write)
                && other.address != function.address
                && addresses.contains(&other.address)
        })
        .map(|(index, _)| index)
        .collect()
}

/// All that are reached from `index`.
fn reached(goes_to: &[Vec<usize>], index: usize) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    let mut open = vec![index];
    while let Some(index) = open.pop() {
        for other in goes_to.get(index).into_iter().flatten() {
            if all.insert(*other) {
                open.push(*other);
            }
        }
    }
    all
}

/// The slot that the entry of a procedure linkage table at `address` jumps through.
fn slot<R: Read + Seek>(image: &mut Image<R>, address: u64) -> Result<Option<u64>, Error> {
    let Some((offset, _)) = image.code(address) else {
        return Ok(None);
    };
    let Some(bytes) = image.at(offset, LONGEST_ENTRY)? else {
        return Ok(None);
    };
    if image.machine == Machine::Arm {
        return Ok(arm::slot(&bytes, address));
    }
    let code = x86::decode(&bytes, address);
    let jump = code.iter().find(|instruction| !x86::is_mark(instruction));
    Ok(jump
        .filter(|jump| jump.code() == Code::Jmp_rm64)
        .and_then(x86::slot))
}
