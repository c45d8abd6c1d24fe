//! The ways through a function that gives its arguments on to an inner one.
//!
//! Owns: the proof that the result of that one call is what the function tells. Every way behind the call ends in a return
//! of what the call's result decides, with no other call before; every way that branches off before it ends in a return of
//! zero or less, which says that no byte passed, whatever was called on it. A function that checks something first, or that
//! has another inner function for sessions of another kind, has a way that is none of these.

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::places::Place;
use crate::x86::{self, Writes};

/// The most instructions that are gone through, on all ways together; OpenSSL's functions have some fifty.
const MOST: usize = 1024;

/// What is in rax.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Unknown,
    /// A number that is zero or less, as an `int`.
    Nothing,
}

/// Whether the call at `call` of `code` is the one that decides what is returned; `count` is where its count is on the
/// stack.
pub(super) fn is_decided_by(code: &[Instruction], call: usize, count: Option<Place>) -> bool {
    let mut left = MOST;
    behind(code, call, count, &mut left) && before(code, call, &mut left)
}

/// The instruction that `jump` goes to, when it is behind the one at `call`.
fn place(code: &[Instruction], call: usize, jump: &Instruction) -> Option<usize> {
    let target = x86::target(jump)?;
    code.binary_search_by_key(&target, Instruction::ip)
        .ok()
        .filter(|place| *place > call)
}

/// The instruction at this place of a way, while there may be more.
fn next<'c>(code: &'c [Instruction], at: usize, left: &mut usize) -> Option<&'c Instruction> {
    *left = left.checked_sub(1)?;
    code.get(at)
}

/// Whether it is the function's last instruction: a call there does not return.
fn is_last(code: &[Instruction], at: usize) -> bool {
    at + 1 == code.len()
}

/// The ways that branch off before the call.
fn before(code: &[Instruction], call: usize, left: &mut usize) -> bool {
    let mut writes = Writes::new();
    let mut ways = Vec::new();
    for branch in code
        .iter()
        .take(call)
        .filter(|instruction| x86::is_branch(instruction))
    {
        let Some(at) = place(code, call, branch) else {
            return false;
        };
        ways.push((at, Answer::Unknown));
    }
    while let Some((mut at, mut answer)) = ways.pop() {
        loop {
            let Some(instruction) = next(code, at, left) else {
                return false;
            };
            match instruction.flow_control() {
                FlowControl::Return if answer == Answer::Nothing => break,
                FlowControl::Call | FlowControl::IndirectCall => {
                    if is_last(code, at) {
                        break;
                    }
                    answer = Answer::Unknown;
                }
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                    let Some(target) = place(code, call, instruction) else {
                        return false;
                    };
                    if instruction.flow_control() == FlowControl::UnconditionalBranch {
                        at = target;
                        continue;
                    }
                    ways.push((target, answer));
                }
                FlowControl::Next => {
                    if writes.of(instruction).contains(&Register::RAX) {
                        answer = put(instruction);
                    }
                }
                _ => return false,
            }
            at += 1;
        }
    }
    true
}

/// What `instruction`, which writes to rax, puts there.
fn put(instruction: &Instruction) -> Answer {
    let is_whole = matches!(instruction.op0_register(), Register::EAX | Register::RAX);
    let is_nothing = match instruction.mnemonic() {
        Mnemonic::Mov if is_immediate(instruction) => {
            // The lower half, as an `int`.
            let number = instruction.immediate(1) & 0xffff_ffff;
            number == 0 || number >= 0x8000_0000
        }
        Mnemonic::Or if is_immediate(instruction) => instruction.immediate(1) == u64::MAX,
        Mnemonic::Xor => {
            instruction.op1_kind() == OpKind::Register
                && instruction.op0_register() == instruction.op1_register()
        }
        _ => false,
    };
    if is_whole && is_nothing {
        Answer::Nothing
    } else {
        Answer::Unknown
    }
}

fn is_immediate(instruction: &Instruction) -> bool {
    matches!(
        instruction.op1_kind(),
        OpKind::Immediate8
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32
            | OpKind::Immediate32to64
            | OpKind::Immediate64
    )
}

/// What the result of the call decides: registers, and the flags.
#[derive(Clone)]
struct Decided {
    registers: Vec<Register>,
    flags: bool,
}

/// The ways behind the call.
fn behind(code: &[Instruction], call: usize, count: Option<Place>, left: &mut usize) -> bool {
    let mut writes = Writes::new();
    let start = Decided {
        registers: vec![Register::RAX],
        flags: false,
    };
    let mut ways = vec![(call + 1, start)];
    while let Some((mut at, mut decided)) = ways.pop() {
        loop {
            let Some(instruction) = next(code, at, left) else {
                return false;
            };
            match instruction.flow_control() {
                FlowControl::Return if decided.registers.contains(&Register::RAX) => break,
                // Of what ends the program when the stack was overrun.
                FlowControl::Call if is_last(code, at) => break,
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                    let Some(target) = place(code, call, instruction) else {
                        return false;
                    };
                    if instruction.flow_control() == FlowControl::UnconditionalBranch {
                        at = target;
                        continue;
                    }
                    ways.push((target, decided.clone()));
                }
                FlowControl::Next => step(&mut writes, instruction, count, &mut decided),
                _ => return false,
            }
            at += 1;
        }
    }
    true
}

fn step(
    writes: &mut Writes,
    instruction: &Instruction,
    count: Option<Place>,
    decided: &mut Decided,
) {
    let takes = writes
        .read_by(instruction)
        .iter()
        .any(|register| decided.registers.contains(register))
        || decided.flags && instruction.rflags_read() != 0
        || count.is_some_and(|place| is_count(instruction, place));
    let written = writes.of(instruction);
    decided
        .registers
        .retain(|register| !written.contains(register));
    if takes {
        decided.registers.extend(written);
    }
    if instruction.rflags_modified() != 0 {
        decided.flags = takes;
    }
}

/// Whether it reads the count that the call left at `place`.
fn is_count(instruction: &Instruction, place: Place) -> bool {
    instruction.mnemonic() == Mnemonic::Mov
        && instruction.op1_kind() == OpKind::Memory
        && instruction.memory_index() == Register::None
        && (
            instruction.memory_base(),
            instruction.memory_displacement64(),
        ) == place
}
