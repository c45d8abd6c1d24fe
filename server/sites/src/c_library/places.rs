//! The instructions of a function at which its arguments and its result are seen, the cheapest that can be proven.

use iced_x86::{Code, ConditionCode, Instruction, Mnemonic, Register};

use super::{Count, Role, ways};
use crate::arm;
use crate::image::Machine;
use crate::x86::{self, Writes};
use crate::{Hook, Site};

/// The registers that must be as they were given for a function of Rust with two arguments, and a return probe.
pub(crate) const RUST: &[Register] = &[Register::RDI, Register::RSI, Register::RSP];

/// A function of a library.
pub(super) struct Function {
    pub(super) address: u64,
    pub(super) offset: u64,
    /// Empty on machines whose instructions are not looked at.
    pub(super) code: Vec<Instruction>,
    /// Where it jumps or calls, outside of itself.
    pub(super) targets: Vec<u64>,
    /// The words whose addresses it jumps to or calls.
    pub(super) slots: Vec<u64>,
}

impl Function {
    /// The function whose code is `bytes`, at `offset` of the file and loaded at `address`.
    pub(super) fn new(machine: Machine, bytes: &[u8], address: u64, offset: u64) -> Self {
        let (code, mut targets): (Vec<Instruction>, Vec<u64>) = match machine {
            Machine::X86 => {
                let code = x86::decode(bytes, address);
                let targets = code
                    .iter()
                    .filter(|instruction| !x86::is_branch(instruction))
                    .filter_map(x86::target)
                    .collect();
                (code, targets)
            }
            Machine::Arm => (
                Vec::new(),
                arm::words(bytes, address)
                    .filter_map(|(place, word)| arm::target(place, word))
                    .collect(),
            ),
        };
        let length = u64::try_from(bytes.len()).unwrap_or(0);
        targets.retain(|target| {
            target
                .checked_sub(address)
                .is_none_or(|into| into >= length)
        });
        targets.sort_unstable();
        targets.dedup();
        let mut slots: Vec<u64> = code.iter().filter_map(x86::slot).collect();
        slots.sort_unstable();
        slots.dedup();
        Self {
            address,
            offset,
            code,
            targets,
            slots,
        }
    }
}

/// The site at a function that begins at `offset` and makes sessions.
pub(super) fn made(offset: u64) -> Site {
    let hook = Hook::Made;
    Site { offset, hook }
}

/// Adds the sites of `function` to `sites`.
pub(super) fn choose(machine: Machine, function: &Function, role: Role, sites: &mut Vec<Site>) {
    let start = function.address;
    let mut add = |address: u64, hook: Hook| {
        if let Some(offset) = address
            .checked_sub(start)
            .and_then(|into| function.offset.checked_add(into))
        {
            sites.push(Site { offset, hook });
        }
    };
    let code = match machine {
        Machine::X86 => function.code.as_slice(),
        Machine::Arm => &[],
    };
    match role {
        Role::Touch | Role::Free => {
            let hook = if role == Role::Free {
                Hook::Free
            } else {
                Hook::Touch
            };
            add(entry(code, &[Register::RDI]).unwrap_or(start), hook);
        }
        Role::File => {
            let place = entry(code, &[Register::RDI, Register::RSP]).unwrap_or(start);
            add(place, Hook::SendFileEnter);
            add(place, Hook::LeaveReturn);
        }
        Role::Bytes { write, count } => {
            if let Some((enter, leave, count)) = around_inner_call(code, count)
                && let Some(hook) = enter_hook(write, count)
            {
                add(enter, hook);
                add(leave, Hook::Leave);
                return;
            }
            let Some(hook) = enter_hook(write, count) else {
                return;
            };
            let mut registers = vec![Register::RDI, Register::RSI, Register::RDX, Register::RSP];
            registers.extend(argument(count));
            let place = entry(code, &registers).unwrap_or(start);
            add(place, hook);
            add(place, Hook::LeaveReturn);
        }
    }
}

pub(super) fn enter_hook(write: bool, count: Count) -> Option<Hook> {
    Some(match (write, count) {
        (true, Count::Result) => Hook::WriteEnter,
        (false, Count::Result) => Hook::ReadEnter,
        (true, Count::Fourth) => Hook::WriteEnterOut,
        (false, Count::Fourth) => Hook::ReadEnterOut,
        (true, Count::Fifth) => Hook::WriteEnterOutFifth,
        (true, Count::Stack) => Hook::WriteEnterStack,
        (false, Count::Stack) => Hook::ReadEnterStack,
        // No library has such a function.
        (false, Count::Fifth) => return None,
    })
}

/// The argument that points to where the count is put.
fn argument(count: Count) -> Option<Register> {
    match count {
        Count::Result | Count::Stack => None,
        Count::Fourth => Some(Register::RCX),
        Count::Fifth => Some(Register::R8),
    }
}

/// The first instruction that the kernel emulates, before any of `registers` is written; it is reached once in each call.
/// With the stack pointer among them, the return address is where it was.
pub(crate) fn entry(code: &[Instruction], registers: &[Register]) -> Option<u64> {
    let start = code.first()?.ip();
    let mut writes = Writes::new();
    for instruction in code {
        if x86::is_emulated(instruction) {
            let place = instruction.ip();
            return x86::is_entered_once(code, start, place).then_some(place);
        }
        let written = writes.of(instruction);
        if x86::ends_line(instruction)
            || written.iter().any(|register| registers.contains(register))
        {
            return None;
        }
    }
    None
}

/// The call of an inner function that does the work, the instruction behind it at which its result is in eax, and where
/// the inner function puts the count: for functions that only give their arguments on, as OpenSSL's do (`SSL_read` to
/// `ssl_read_internal`).
///
/// What is proven: the way from the start to the instruction behind the call is straight; at the call rdi and rsi are as
/// they were given, and rdx too or with its lower half widened; where the count is put is as it was given, or else is a
/// place on the stack, and what is there then is what the function returns; and no other call has to do with what is
/// returned (`ways`).
///
/// The call itself is a place where the kernel has to write to the program's stack, so the jump of a check of the length before
/// it is taken where there is one, and the stack pointer stays where it is from there on. Whoever fails that check passes
/// nothing.
fn around_inner_call(code: &[Instruction], count: Count) -> Option<(u64, u64, Count)> {
    let start = code.first()?.ip();
    let mut writes = Writes::new();
    let mut places = [(Count::Fourth, None), (Count::Fifth, None)];
    let mut before = None;
    for (index, instruction) in code.iter().enumerate() {
        if instruction.code() == Code::Call_rel32_64 && x86::is_emulated(instruction) {
            let behind = code.get(index + 1..)?;
            let (count, on_stack) = match count {
                Count::Result => *places
                    .iter()
                    .find(|(_, place)| place.is_some_and(|place| is_returned(behind, place)))?,
                given => (given, None),
            };
            let leave = jump_on_result(behind).or(behind.first())?.ip();
            let proven = x86::is_entered_once(code, start, leave)
                && ways::is_decided_by(code, index, on_stack);
            if !proven {
                return None;
            }
            return Some(match (before, on_stack) {
                (Some(enter), None) => (enter, leave, count),
                (Some(enter), Some((Register::RSP, 0))) => (enter, leave, Count::Stack),
                _ => (instruction.ip(), leave, count),
            });
        }
        if x86::ends_line(instruction) {
            return None;
        }
        // A jump back would reach the call again.
        if x86::is_branch(instruction) && x86::target(instruction)? <= instruction.ip() {
            return None;
        }
        let written = writes.of(instruction);
        if written.contains(&Register::RSP) {
            before = None;
        } else if is_check_of_length(code, index) {
            before.get_or_insert(instruction.ip());
        }
        for register in written {
            if Some(register) == argument(count) {
                return None;
            }
            for (kind, place) in &mut places {
                if Some(register) == argument(*kind) {
                    *place = stack_place(instruction);
                }
            }
            match register {
                Register::RDI | Register::RSI => return None,
                Register::RDX if !is_widening(instruction) => return None,
                // A place is counted from where the stack pointer is, until that changes.
                Register::RSP | Register::RBP => {
                    for (_, place) in &mut places {
                        *place = None;
                    }
                }
                _ => {}
            }
        }
    }
    None
}

/// Whether the instruction at `index` jumps on what `test %edx, %edx` or `test %rdx, %rdx` before it found: no length, or one
/// below zero.
fn is_check_of_length(code: &[Instruction], index: usize) -> bool {
    let pair = index
        .checked_sub(1)
        .and_then(|before| code.get(before..=index));
    pair.and_then(|pair| jump_on(pair, &[Register::EDX, Register::RDX]))
        .is_some_and(|jump| {
            matches!(
                jump.condition_code(),
                ConditionCode::e | ConditionCode::s | ConditionCode::le
            )
        })
}

/// The conditional jump of these two instructions, where the first tests one of `registers` and the kernel emulates the jump.
fn jump_on<'c>(pair: &'c [Instruction], registers: &[Register]) -> Option<&'c Instruction> {
    let [test, jump, ..] = pair else {
        return None;
    };
    (matches!(test.code(), Code::Test_rm32_r32 | Code::Test_rm64_r64)
        && registers.contains(&test.op0_register())
        && test.op1_register() == test.op0_register()
        && x86::is_branch(jump)
        && x86::is_emulated(jump))
    .then_some(jump)
}

/// `movslq %edx, %rdx`
fn is_widening(instruction: &Instruction) -> bool {
    instruction.code() == Code::Movsxd_r64_rm32
        && instruction.op0_register() == Register::RDX
        && instruction.op1_register() == Register::EDX
}

/// A place on the stack: the register it is counted from, and how far it is from there.
pub(super) type Place = (Register, u64);

/// What `mov %rsp, %rcx` or `lea 8(%rsp), %rcx` point to.
fn stack_place(instruction: &Instruction) -> Option<Place> {
    let (base, distance) = match instruction.code() {
        Code::Mov_r64_rm64 | Code::Mov_rm64_r64 => (instruction.op1_register(), 0),
        Code::Lea_r64_m if instruction.memory_index() == Register::None => (
            instruction.memory_base(),
            instruction.memory_displacement64(),
        ),
        _ => return None,
    };
    matches!(base, Register::RSP | Register::RBP).then_some((base, distance))
}

/// Whether what is at `place` is soon put into eax, always or on a condition.
fn is_returned(behind: &[Instruction], place: Place) -> bool {
    behind.iter().take(4).any(|instruction| {
        let moves = instruction.mnemonic() == Mnemonic::Mov
            || matches!(instruction.mnemonic(), Mnemonic::Cmovg | Mnemonic::Cmovle);
        moves
            && instruction.op0_register().full_register() == Register::RAX
            && (
                instruction.memory_base(),
                instruction.memory_displacement64(),
            ) == place
    })
}

/// The conditional jump on the sign of eax that these instructions begin with.
fn jump_on_result(behind: &[Instruction]) -> Option<&Instruction> {
    jump_on(behind, &[Register::EAX]).filter(|jump| {
        matches!(
            jump.condition_code(),
            ConditionCode::le | ConditionCode::g | ConditionCode::s | ConditionCode::ns
        )
    })
}
