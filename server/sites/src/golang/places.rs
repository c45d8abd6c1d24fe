//! The instructions of a Go function at which its arguments and its results are seen.
//!
//! A function begins with a look at how much room the stack has; when there is too little, it has the stack moved and
//! begins again. So a site is behind that look, or a call would be told twice. Return probes would write to a stack that
//! Go moves; the result is taken at each `ret` instead.

use iced_x86::{Code, Instruction, Register};

use super::Function;
use crate::arm;
use crate::image::Machine;
use crate::x86::{self, Writes};
use crate::{Hook, Site};

/// What is wanted of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Its beginning and each of its ends.
    Bytes(Hook),
    /// Its beginning.
    Once(Hook),
}

/// How many instructions the look at the stack takes at most.
const LONGEST_LOOK: usize = 6;
/// The most ends of a function.
const MOST_ENDS: usize = 64;

/// Adds the sites of `function`, or says what its code is not like.
pub(super) fn choose(
    machine: Machine,
    function: &Function,
    sites: &mut Vec<Site>,
) -> Result<(), &'static str> {
    let (hook, ends) = match function.role {
        Role::Bytes(hook) => (hook, true),
        Role::Once(hook) => (hook, false),
    };
    let (enter, leaves) = match machine {
        Machine::X86 => on_x86(function)?,
        Machine::Arm => on_arm(function)?,
    };
    let mut add = |address: u64, hook: Hook| {
        if let Some(offset) = address
            .checked_sub(function.address)
            .and_then(|into| function.offset.checked_add(into))
        {
            sites.push(Site { offset, hook });
        }
    };
    add(enter, hook);
    if ends {
        if leaves.is_empty() {
            return Err("has no ends that could be seen");
        }
        if leaves.len() > MOST_ENDS {
            return Err("has more ends than are looked at");
        }
        for leave in leaves {
            add(leave, Hook::GoLeave);
        }
    }
    Ok(())
}

/// Where the arguments are seen, and where the result.
type Places = (u64, Vec<u64>);

fn on_x86(function: &Function) -> Result<Places, &'static str> {
    let code = x86::decode(&function.bytes, function.address);
    let decoded = code.iter().map(Instruction::len).sum::<usize>();
    if decoded != function.bytes.len() {
        return Err("has code that could not be decoded");
    }
    let enter = enter(&code).ok_or("does not begin as functions of Go do")?;
    let leaves = code
        .iter()
        .enumerate()
        .filter(|(_, instruction)| instruction.code() == Code::Retnq)
        .take(MOST_ENDS + 1)
        .map(|(index, instruction)| cheaper(&code, index).unwrap_or(instruction.ip()))
        .collect();
    Ok((enter, leaves))
}

/// Behind the look at the stack, the first instruction that the kernel emulates while the arguments are in their
/// registers; else the very first.
fn enter(code: &[Instruction]) -> Option<u64> {
    let mut writes = Writes::new();
    let mut is_changed = |instruction: &Instruction| {
        writes.of(instruction).iter().any(|register| {
            matches!(
                register,
                Register::RAX | Register::RBX | Register::RCX | Register::R14
            )
        })
    };
    let look = code.windows(2).take(LONGEST_LOOK).position(|pair| {
        let [compare, jump] = pair else { return false };
        compare.mnemonic() == iced_x86::Mnemonic::Cmp
            && compare.memory_base() == Register::R14
            && compare.memory_displacement64() == 0x10
            && matches!(jump.code(), Code::Jbe_rel8_64 | Code::Jbe_rel32_64)
    })?;
    if code.get(..look)?.iter().any(&mut is_changed) {
        return None;
    }
    let behind = code.get(look + 2..)?;
    let first = behind.first()?.ip();
    let place = behind
        .iter()
        .take_while(|instruction| {
            // The one that ends the straight line may be a site; what is behind it may not.
            x86::is_emulated(instruction)
                || !(x86::ends_line(instruction) || is_changed(instruction))
        })
        .find(|instruction| x86::is_emulated(instruction))
        .map_or(first, Instruction::ip);
    // From the beginning to the site there is one way, and the only jump back is that of the function begun again.
    let start = code.first()?.ip();
    let once = code.iter().all(|instruction| {
        x86::target(instruction).is_none_or(|target| {
            let again = target == start
                && matches!(instruction.code(), Code::Jmp_rel8_64 | Code::Jmp_rel32_64);
            again || target < start || target > place
        })
    });
    once.then_some(place)
}

/// An instruction before the `ret` at `index` that the kernel emulates, when the result is in its register there and
/// whoever comes to one comes to the other.
fn cheaper(code: &[Instruction], index: usize) -> Option<u64> {
    let mut writes = Writes::new();
    let mut behind = code.get(index)?.ip();
    for instruction in code.get(..index)?.iter().rev().take(8) {
        if code
            .iter()
            .any(|jump| x86::target(jump).is_some_and(|target| target == behind))
            || x86::ends_line(instruction)
            || x86::is_branch(instruction)
            || writes.of(instruction).contains(&Register::RAX)
        {
            return None;
        }
        if x86::is_emulated(instruction) {
            return Some(instruction.ip());
        }
        behind = instruction.ip();
    }
    None
}

/// `ldr x16, [x28, #16]`
const ARM_LOOK: u32 = 0xf940_0b90;
/// `ret`
const ARM_RETURN: u32 = 0xd65f_03c0;

/// On aarch64 the look ends with a `b.ls`, and behind it nothing was changed.
fn on_arm(function: &Function) -> Result<Places, &'static str> {
    const STRANGE: &str = "does not begin as functions of Go do";
    let words: Vec<(u64, u32)> = arm::words(&function.bytes, function.address).collect();
    if words.first().is_none_or(|(_, word)| *word != ARM_LOOK) {
        return Err(STRANGE);
    }
    let is_jump = |word: u32| word & 0xff00_001f == 0x5400_0009;
    let enter = words
        .iter()
        .take(LONGEST_LOOK)
        .position(|(_, word)| is_jump(*word))
        .and_then(|jump| words.get(jump + 1))
        .map(|(address, _)| *address)
        .ok_or(STRANGE)?;
    let leaves = words
        .iter()
        .filter(|(_, word)| *word == ARM_RETURN)
        .map(|(address, _)| *address)
        .collect();
    Ok((enter, leaves))
}
