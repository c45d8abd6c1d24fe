//! What a function does with its two arguments, as its instructions show it.
//!
//! Owns: to follow the session (rdi at the start) and the payload (rsi) through registers and places on the stack, in the
//! order of the instructions. A compiler's code for one shape of source shows one of a few shapes; another way to lay
//! values out, or another order of arguments, shows none of them.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use crate::c_library::places;
use crate::x86::{self, Writes};

/// The most places on the stack whose values are followed.
const MOST_PLACES: usize = 1024;

/// What a register or a place on the stack holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Value {
    /// The address that is so far behind the session's.
    Session(u64),
    /// The payload's address.
    Payload,
    /// The word that is so far behind the session's address.
    Held(u64),
    /// The word that is so far behind the payload's address.
    Word(u64),
}

/// What is called.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Target {
    /// The function at this address.
    Address(u64),
    /// The function whose address is at this one.
    Slot(u64),
}

/// What a function's instructions show. They are not kept themselves: there may be many.
pub(super) struct Code {
    pub(super) start: u64,
    /// The instruction for a probe that sees the arguments.
    pub(super) place: u64,
    /// What is called or jumped to, outside of the function.
    pub(super) calls: BTreeSet<Target>,
    facts: BTreeSet<Fact>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Fact {
    /// The word so far in the payload is compared with zero.
    Zero(u64),
    /// One word of the payload is taken from another.
    Less(u64, u64),
    /// Two words of the payload are the second and the third argument of a call.
    Copied(u64, u64),
    /// The first function of the trait object that is so far in the session is called.
    Object(u64),
    /// The function at this address has the address that is so far behind the session's as its second argument.
    Given(u64, u64),
}

/// Where a trait object's first function is in its table, behind what drops it, its size and its alignment.
const FIRST_FUNCTION: u64 = 0x18;

impl Code {
    /// The code of a function whose first argument is a session and whose second is a payload.
    pub(super) fn new(bytes: &[u8], address: u64) -> Self {
        let arguments = [
            (Register::RDI, Value::Session(0)),
            (Register::RSI, Value::Payload),
        ];
        Self::with(bytes, address, BTreeMap::from(arguments))
    }

    /// The code of a function whose second argument is a session, or a part of one; the first is a place for the result.
    pub(super) fn with_result(bytes: &[u8], address: u64) -> Self {
        let arguments = BTreeMap::from([(Register::RSI, Value::Session(0))]);
        Self::with(bytes, address, arguments)
    }

    fn with(bytes: &[u8], address: u64, registers: BTreeMap<Register, Value>) -> Self {
        let instructions = x86::decode(bytes, address);
        let mut state = State {
            registers,
            stack: BTreeMap::new(),
            facts: BTreeSet::new(),
            writes: Writes::new(),
        };
        for instruction in &instructions {
            state.step(instruction);
        }
        let calls = instructions.iter().filter_map(|instruction| {
            x86::slot(instruction)
                .map(Target::Slot)
                .or_else(|| x86::target(instruction).map(Target::Address))
        });
        Self {
            start: address,
            place: places::entry(&instructions, places::RUST).unwrap_or(address),
            calls: calls.collect(),
            facts: state.facts,
        }
    }

    /// Whether the payload is `OutboundChunks`: with a first word of zero it is one slice, whose address and length are
    /// the words behind it; else it is slices, whose address and count are the first two words, of which the bytes from
    /// the third word's to the fourth's count.
    pub(super) fn shows_chunks(&self) -> bool {
        self.facts.contains(&Fact::Zero(0)) && self.facts.contains(&Fact::Less(24, 16))
    }

    /// Whether the payload's second and third words are the address and the length of its bytes: they are copied from
    /// there.
    pub(super) fn shows_bytes(&self) -> bool {
        self.facts.contains(&Fact::Copied(8, 16))
    }

    /// How far behind the session's address there are trait objects whose first function is called.
    pub(super) fn ciphers(&self) -> impl Iterator<Item = u32> {
        self.facts.iter().filter_map(|fact| match fact {
            Fact::Object(place) => u32::try_from(*place).ok(),
            _ => None,
        })
    }

    /// The functions that have a part of the session as their second argument, and how far behind its address that is.
    pub(super) fn given(&self) -> impl Iterator<Item = (u64, u32)> {
        self.facts.iter().filter_map(|fact| match fact {
            Fact::Given(target, into) => Some((*target, u32::try_from(*into).ok()?)),
            _ => None,
        })
    }
}

struct State {
    registers: BTreeMap<Register, Value>,
    /// By how far it is from the stack pointer, which does not move between the function's first and last instructions.
    stack: BTreeMap<u64, Value>,
    facts: BTreeSet<Fact>,
    writes: Writes,
}

impl State {
    fn step(&mut self, instruction: &Instruction) {
        self.observe(instruction);
        if matches!(instruction.mnemonic(), Mnemonic::Push | Mnemonic::Pop) {
            // The function's beginning, or one of its ends: what follows an end is reached from before it.
            return;
        }
        if instruction.mnemonic() == Mnemonic::Call {
            for register in x86::LOST_IN_CALLS {
                self.registers.remove(&register);
            }
            return;
        }
        let whole =
            instruction.op0_kind() == OpKind::Register && instruction.op0_register().size() == 8;
        let moved = match instruction.mnemonic() {
            Mnemonic::Mov if whole => self.source(instruction),
            Mnemonic::Lea if whole => self.address(instruction),
            _ => None,
        };
        for register in self.writes.of(instruction) {
            self.registers.remove(&register);
        }
        if let Some(value) = moved {
            self.registers.insert(instruction.op0_register(), value);
        }
        if instruction.op0_kind() == OpKind::Memory && instruction.memory_base() == Register::RSP {
            self.store(instruction);
        }
    }

    /// What a move into a register moves there.
    fn source(&self, instruction: &Instruction) -> Option<Value> {
        match instruction.op1_kind() {
            OpKind::Register => self.register(instruction.op1_register()),
            OpKind::Memory => self.memory(instruction),
            _ => None,
        }
    }

    fn register(&self, register: Register) -> Option<Value> {
        self.registers.get(&register).copied()
    }

    /// A place in the session.
    fn address(&self, instruction: &Instruction) -> Option<Value> {
        match self.register(instruction.memory_base())? {
            Value::Session(into) if instruction.memory_index() == Register::None => Some(
                Value::Session(into.wrapping_add(instruction.memory_displacement64())),
            ),
            _ => None,
        }
    }

    /// What is in memory where `instruction` says.
    fn memory(&self, instruction: &Instruction) -> Option<Value> {
        if instruction.memory_index() != Register::None {
            return None;
        }
        let distance = instruction.memory_displacement64();
        let base = instruction.memory_base();
        if base == Register::RSP {
            return self.stack.get(&distance).copied();
        }
        match self.register(base)? {
            Value::Session(into) => Some(Value::Held(into.wrapping_add(distance))),
            Value::Payload => Some(Value::Word(distance)),
            Value::Held(_) | Value::Word(_) => None,
        }
    }

    /// A write to the stack.
    fn store(&mut self, instruction: &Instruction) {
        let place = instruction.memory_displacement64();
        let size = u64::try_from(instruction.memory_size().size()).unwrap_or(64);
        let covered: Vec<u64> = self
            .stack
            .range(place.saturating_sub(7)..place.saturating_add(size))
            .map(|(at, _)| *at)
            .collect();
        for at in covered {
            self.stack.remove(&at);
        }
        if instruction.mnemonic() == Mnemonic::Mov
            && instruction.op1_kind() == OpKind::Register
            && instruction.op1_register().size() == 8
            && instruction.memory_index() == Register::None
            && let Some(value) = self.register(instruction.op1_register())
            && self.stack.len() < MOST_PLACES
        {
            self.stack.insert(place, value);
        }
    }

    /// What `instruction` shows, before it changes anything.
    fn observe(&mut self, instruction: &Instruction) {
        let mut shown = Vec::new();
        let operand = |index: u32| match instruction.op_kind(index) {
            OpKind::Register => self.register(instruction.op_register(index)),
            OpKind::Memory => self.memory(instruction),
            _ => None,
        };
        match instruction.mnemonic() {
            Mnemonic::Test => {
                if let (Some(Value::Word(left)), Some(Value::Word(right))) =
                    (operand(0), operand(1))
                    && left == right
                {
                    shown.push(Fact::Zero(left));
                }
            }
            Mnemonic::Cmp => {
                let zero = matches!(
                    instruction.op1_kind(),
                    OpKind::Immediate8 | OpKind::Immediate8to64 | OpKind::Immediate32to64
                ) && instruction.immediate(1) == 0;
                if let Some(Value::Word(word)) = operand(0)
                    && zero
                {
                    shown.push(Fact::Zero(word));
                }
            }
            Mnemonic::Sub => {
                if let (Some(Value::Word(from)), Some(Value::Word(taken))) =
                    (operand(0), operand(1))
                {
                    shown.push(Fact::Less(from, taken));
                }
            }
            Mnemonic::Call => {
                let argument = |register| self.register(register);
                if let (Some(Value::Word(second)), Some(Value::Word(third))) =
                    (argument(Register::RSI), argument(Register::RDX))
                {
                    shown.push(Fact::Copied(second, third));
                }
                if let Some(Value::Session(into)) = argument(Register::RSI)
                    && let Some(target) = x86::target(instruction)
                {
                    shown.push(Fact::Given(target, into));
                }
                // The object's address is the first argument, or the second where a place for the result is the first.
                if instruction.op0_kind() == OpKind::Memory
                    && instruction.memory_displacement64() == FIRST_FUNCTION
                    && let Some(Value::Held(table)) = argument(instruction.memory_base())
                    && let Some(object) = table.checked_sub(8)
                    && [Register::RDI, Register::RSI]
                        .into_iter()
                        .any(|register| argument(register) == Some(Value::Held(object)))
                {
                    shown.push(Fact::Object(object));
                }
            }
            _ => {}
        }
        self.facts.extend(shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// mov %rdi, place(%rsp)
    fn store(place: u32) -> Vec<u8> {
        [[0x48, 0x89, 0xbc, 0x24].as_slice(), &place.to_le_bytes()].concat()
    }

    fn places(code: &[u8]) -> Vec<u64> {
        let mut state = State {
            registers: BTreeMap::from([(Register::RDI, Value::Session(0))]),
            stack: BTreeMap::new(),
            facts: BTreeSet::new(),
            writes: Writes::new(),
        };
        for instruction in x86::decode(code, 0x1000) {
            state.step(&instruction);
        }
        state.stack.into_keys().collect()
    }

    #[test]
    fn a_store_covers_what_it_overlaps() {
        let code = [8, 16, 24, 32].map(store).concat();
        assert_eq!(places(&code), [8, 16, 24, 32]);
        // movups %xmm0, 20(%rsp)
        let covering = [code, vec![0x0f, 0x11, 0x44, 0x24, 20]].concat();
        assert_eq!(places(&covering), [8]);
    }

    #[test]
    fn so_many_places_are_followed() {
        let code = (0..8000).map(|place| store(place * 8)).collect::<Vec<_>>();
        assert_eq!(places(&code.concat()).len(), MOST_PLACES);
    }
}
