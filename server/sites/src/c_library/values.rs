//! What is in the registers along the ways through a function: its arguments, numbers, and what it takes out of the structure
//! that its first argument points to.
//!
//! Owns: to follow values over moves, loads and calls, and to say with which of them control goes elsewhere. What it does not
//! understand becomes unknown; a function with more ways than it goes is not told about at all.

use std::collections::BTreeSet;

use iced_x86::{Code, FlowControl, Instruction, OpKind, Register};

use crate::x86::{self, Writes};

/// The most instructions that are gone over, on all ways together.
const MOST: usize = 4096;

/// What is known of a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Unknown,
    /// What the function was given, from 0 on.
    Argument(usize),
    Number(u64),
    /// The word so far into what the first argument points to.
    Field(u64),
    /// The word `slot` into what that word points to.
    Slot {
        field: u64,
        slot: u64,
    },
}

/// Registers of arguments (System V ABI, AMD64, section 3.2.3).
pub(super) const ARGUMENTS: [Register; 6] = [
    Register::RDI,
    Register::RSI,
    Register::RDX,
    Register::RCX,
    Register::R8,
    Register::R9,
];
/// Registers that a call leaves as they were.
pub(super) const KEPT: [Register; 6] = [
    Register::RBX,
    Register::RBP,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

/// The values at one point of a way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct State {
    /// By the registers' numbers.
    registers: [Value; 16],
    /// Of the word that the stack pointer points to.
    top: Value,
}

impl State {
    /// At the beginning of a function.
    pub(super) fn new() -> Self {
        let mut state = Self {
            registers: [Value::Unknown; 16],
            top: Value::Unknown,
        };
        for (index, register) in ARGUMENTS.into_iter().enumerate() {
            state.put(register, Value::Argument(index));
        }
        state
    }

    /// What is in a whole register.
    pub(super) fn of(&self, register: Register) -> Value {
        number(register)
            .and_then(|number| self.registers.get(number))
            .copied()
            .unwrap_or(Value::Unknown)
    }

    /// What the stack pointer points to: of a call, its seventh argument.
    pub(super) fn top(&self) -> Value {
        self.top
    }

    fn put(&mut self, register: Register, value: Value) {
        if let Some(place) = number(register).and_then(|number| self.registers.get_mut(number)) {
            *place = value;
        }
    }

    /// What the word in memory holds that `instruction` has for its second operand.
    fn loaded(&self, instruction: &Instruction) -> Value {
        if instruction.memory_index() != Register::None
            || instruction.segment_prefix() != Register::None
        {
            return Value::Unknown;
        }
        let distance = instruction.memory_displacement64();
        match self.of(instruction.memory_base()) {
            Value::Argument(0) => Value::Field(distance),
            Value::Field(field) => Value::Slot {
                field,
                slot: distance,
            },
            _ => Value::Unknown,
        }
    }

    /// What control goes to by an indirect call or jump.
    fn goes_to(&self, instruction: &Instruction) -> Value {
        match instruction.op0_kind() {
            OpKind::Register => self.of(instruction.op0_register()),
            OpKind::Memory => self.loaded(instruction),
            _ => Value::Unknown,
        }
    }

    /// Says what is put into a register, where that is known.
    fn step(&mut self, writes: &mut Writes, instruction: &Instruction) -> Option<Value> {
        let put = match instruction.code() {
            Code::Mov_r64_rm64 | Code::Mov_rm64_r64 if x86::is_between_registers(instruction) => {
                Some(self.of(instruction.op1_register()))
            }
            // Of a number all is known.
            Code::Mov_r32_rm32 | Code::Mov_rm32_r32 if x86::is_between_registers(instruction) => {
                match self.of(instruction.op1_register().full_register()) {
                    Value::Number(number) => Some(Value::Number(number & 0xffff_ffff)),
                    _ => None,
                }
            }
            Code::Mov_r64_rm64 => Some(self.loaded(instruction)),
            Code::Mov_r32_imm32 | Code::Mov_rm32_imm32 | Code::Mov_r64_imm64 => {
                Some(Value::Number(instruction.immediate(1)))
            }
            Code::Xor_r32_rm32 | Code::Xor_rm32_r32
                if x86::is_between_registers(instruction)
                    && instruction.op0_register() == instruction.op1_register() =>
            {
                Some(Value::Number(0))
            }
            _ => None,
        };
        let on_top = match instruction.code() {
            Code::Push_r64 => Some(self.of(instruction.op0_register())),
            Code::Mov_rm64_r64
                if instruction.memory_base() == Register::RSP
                    && instruction.segment_prefix() == Register::None
                    && instruction.memory_index() == Register::None
                    && instruction.memory_displacement64() == 0 =>
            {
                Some(self.of(instruction.op1_register()))
            }
            _ => None,
        };
        let written = writes.of(instruction);
        if let Some(value) = on_top {
            self.top = value;
        } else if written.contains(&Register::RSP) || may_write_memory(instruction) {
            self.top = Value::Unknown;
        }
        for register in written {
            self.put(register, Value::Unknown);
        }
        let put = put.filter(|_| instruction.op0_kind() == OpKind::Register);
        if let Some(value) = put {
            self.put(instruction.op0_register().full_register(), value);
        }
        put
    }

    fn call(&mut self) {
        for register in x86::LOST_IN_CALLS {
            self.put(register, Value::Unknown);
        }
        self.top = Value::Unknown;
    }
}

fn number(register: Register) -> Option<usize> {
    (register.is_gpr64()).then(|| register.number())
}

/// Whether its first operand is in memory, of string instructions too.
fn may_write_memory(instruction: &Instruction) -> bool {
    instruction.op_count() > 0
        && !matches!(
            instruction.op0_kind(),
            OpKind::Register
                | OpKind::Immediate8
                | OpKind::Immediate16
                | OpKind::Immediate32
                | OpKind::Immediate64
                | OpKind::Immediate8to16
                | OpKind::Immediate8to32
                | OpKind::Immediate8to64
                | OpKind::Immediate32to64
        )
}

/// Where control goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum To {
    /// To this address.
    Address(u64),
    /// To what this is.
    Value(Value),
}

/// A place at which control goes elsewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Going {
    /// Which instruction.
    pub(super) index: usize,
    pub(super) to: To,
    /// Whether it comes back.
    pub(super) is_call: bool,
    pub(super) state: State,
}

/// What was met on the ways through a function.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Walk {
    /// Where control goes elsewhere, in the order in which these places are come to.
    pub(super) goings: Vec<Going>,
    /// Slots that are taken out of what fields point to: field and slot.
    pub(super) taken: BTreeSet<(u64, u64)>,
}

/// Goes all ways through `code` that begin with `state`; nothing where there are too many, or one does not end in it.
pub(super) fn walk(code: &[Instruction], state: State) -> Option<Walk> {
    let mut writes = Writes::new();
    let mut left = MOST;
    let mut walk = Walk::default();
    let mut open = vec![(0, state)];
    let mut forks: Vec<(usize, State)> = Vec::new();
    while let Some((mut at, mut state)) = open.pop() {
        loop {
            let instruction = code.get(at)?;
            left = left.checked_sub(1)?;
            let mut go = |to, is_call, state: &State| {
                let going = Going {
                    index: at,
                    to,
                    is_call,
                    state: state.clone(),
                };
                if !walk.goings.contains(&going) {
                    walk.goings.push(going);
                }
            };
            match instruction.flow_control() {
                FlowControl::Next => {
                    if let Some(Value::Slot { field, slot }) = state.step(&mut writes, instruction)
                    {
                        walk.taken.insert((field, slot));
                    }
                }
                FlowControl::Call => {
                    let to = x86::target(instruction)?;
                    go(To::Address(to), true, &state);
                    state.call();
                }
                FlowControl::IndirectCall => {
                    go(To::Value(state.goes_to(instruction)), true, &state);
                    state.call();
                }
                FlowControl::IndirectBranch => {
                    go(To::Value(state.goes_to(instruction)), false, &state);
                    break;
                }
                FlowControl::UnconditionalBranch => {
                    let to = x86::target(instruction)?;
                    let Some(place) = place(code, to) else {
                        go(To::Address(to), false, &state);
                        break;
                    };
                    at = place;
                    continue;
                }
                FlowControl::ConditionalBranch => {
                    let to = x86::target(instruction)?;
                    // Both ways once for each state.
                    let fork = (at, state.clone());
                    if forks.contains(&fork) {
                        break;
                    }
                    forks.push(fork);
                    match place(code, to) {
                        Some(place) => open.push((place, state.clone())),
                        None => go(To::Address(to), false, &state),
                    }
                }
                _ => break,
            }
            at += 1;
        }
    }
    Some(walk)
}

fn place(code: &[Instruction], address: u64) -> Option<usize> {
    code.binary_search_by_key(&address, Instruction::ip).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in a register behind these instructions.
    fn behind(bytes: &[u8], register: Register) -> Value {
        let mut state = State::new();
        let mut writes = Writes::new();
        for instruction in x86::decode(bytes, 0x1000) {
            state.step(&mut writes, &instruction);
        }
        state.of(register)
    }

    #[test]
    fn values_that_are_followed() {
        use Register::{R12, R13, RAX, RBX};
        let slot = Value::Slot { field: 8, slot: 56 };
        for (bytes, register, value) in [
            // mov %rdi, %rbx
            (&[0x48, 0x89, 0xfb][..], RBX, Value::Argument(0)),
            // xor %ecx, %ecx; mov %ecx, %r13d
            (&[0x31, 0xc9, 0x41, 0x89, 0xcd], R13, Value::Number(0)),
            // mov $0x17, %eax
            (&[0xb8, 0x17, 0, 0, 0], RAX, Value::Number(23)),
            // mov 0x8(%rdi), %rax
            (&[0x48, 0x8b, 0x47, 8], RAX, Value::Field(8)),
            // mov 0x8(%rdi), %rax; mov 0x38(%rax), %r12
            (&[0x48, 0x8b, 0x47, 8, 0x4c, 0x8b, 0x60, 0x38], R12, slot),
        ] {
            assert_eq!(behind(bytes, register), value, "{bytes:x?}");
        }
    }

    #[test]
    fn values_that_are_not() {
        use Register::{R13, RAX, RBX, RCX, RDI, RSI};
        for (bytes, register) in [
            // mov %edi, %ebx: half of it.
            (&[0x89, 0xfb][..], RBX),
            // mov $1, %dil; xchg %rdi, %rsi; cmove %rsi, %rdi
            (&[0x40, 0xb7, 1], RDI),
            (&[0x48, 0x87, 0xfe], RSI),
            (&[0x48, 0x0f, 0x44, 0xfe], RDI),
            // add $8, %rsi; lea 0x8(%rdi), %rax
            (&[0x48, 0x83, 0xc6, 8], RSI),
            (&[0x48, 0x8d, 0x47, 8], RAX),
            // mov 0x8(%rdi,%rcx,1), %rax; mov %fs:0x8(%rdi), %rax
            (&[0x48, 0x8b, 0x44, 0x0f, 8], RAX),
            (&[0x64, 0x48, 0x8b, 0x47, 8], RAX),
            // xor %ecx, %edx; pop %r13
            (&[0x31, 0xd1], RCX),
            (&[0x41, 0x5d], R13),
        ] {
            assert_eq!(behind(bytes, register), Value::Unknown, "{bytes:x?}");
        }
    }

    #[test]
    fn the_seventh_argument() {
        let top = |bytes: &[u8]| {
            let mut state = State::new();
            let mut writes = Writes::new();
            for instruction in x86::decode(bytes, 0x1000) {
                state.step(&mut writes, &instruction);
            }
            state.top()
        };
        // push %rcx; mov %rcx, (%rsp)
        assert_eq!(top(&[0x51]), Value::Argument(3));
        assert_eq!(top(&[0x48, 0x89, 0x0c, 0x24]), Value::Argument(3));
        // With, behind it: sub $8, %rsp; mov %rax, (%rsi); rep stos; mov %rcx, %fs:(%rsp) alone.
        assert_eq!(top(&[0x51, 0x48, 0x83, 0xec, 8]), Value::Unknown);
        assert_eq!(top(&[0x51, 0x48, 0x89, 6]), Value::Unknown);
        assert_eq!(top(&[0x51, 0xf3, 0x48, 0xab]), Value::Unknown);
        assert_eq!(top(&[0x64, 0x48, 0x89, 0x0c, 0x24]), Value::Unknown);
    }

    #[test]
    fn ways_and_where_they_go() {
        // test %rsi, %rsi; je 1f; mov 0x8(%rdi), %rax; jmp *0x38(%rax); 1: call .; ret
        let code = [
            0x48, 0x85, 0xf6, 0x74, 7, 0x48, 0x8b, 0x47, 8, 0xff, 0x60, 0x38, 0xe8, 0, 0, 0, 0,
            0xc3,
        ];
        let walked = walk(&x86::decode(&code, 0x1000), State::new()).unwrap();
        let slot = Value::Slot { field: 8, slot: 56 };
        let places: Vec<(To, bool)> = walked
            .goings
            .iter()
            .map(|going| (going.to, going.is_call))
            .collect();
        assert_eq!(
            places,
            [(To::Value(slot), false), (To::Address(0x1011), true)]
        );
        // Without its end.
        let code = x86::decode(&code[..17], 0x1000);
        assert_eq!(walk(&code, State::new()), None);
    }
}
