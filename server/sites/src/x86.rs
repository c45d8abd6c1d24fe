//! The instructions of a function on `x86_64`, and what the kernel does with a probe on each.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess,
    OpKind, Register,
};

/// The most instructions that a function is decoded to.
const MOST: usize = 1 << 14;

/// The instructions of `bytes`, which is loaded at `address`, up to the first that is none.
pub(crate) fn decode(bytes: &[u8], address: u64) -> Vec<Instruction> {
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let mut code = Vec::new();
    while decoder.can_decode() && code.len() < MOST {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            break;
        }
        code.push(instruction);
    }
    code
}

/// How long the function is that `bytes` begins with: up to the first breakpoint, as there are between functions. Nothing
/// when there is none, or what is no instruction before it.
pub(crate) fn until_break(bytes: &[u8], address: u64) -> Option<usize> {
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    loop {
        let end = decoder.position();
        if !decoder.can_decode() {
            return None;
        }
        decoder.decode_out(&mut instruction);
        if instruction.code() == Code::Int3 {
            return Some(end);
        }
        if instruction.is_invalid() {
            return None;
        }
    }
}

/// Whether the kernel does by itself what this instruction does, instead of stepping over a copy of it
/// (`arch/x86/kernel/uprobes.c`, `branch_setup_xol_ops` and `push_setup_xol_ops`). Of the ways to do nothing it is the one
/// byte 90 alone: longer ones only the newest kernels run themselves, and a 90 behind a 66 some before 6.2 refuse.
pub(crate) fn is_emulated(instruction: &Instruction) -> bool {
    let length = instruction.len();
    match instruction.code() {
        Code::Push_r64 => length <= 2,
        Code::Call_rel32_64 | Code::Jmp_rel32_64 => length == 5,
        Code::Jmp_rel8_64 => length == 2,
        Code::Nopd => length == 1,
        code if code.is_jcc_short() => length == 2,
        code if code.is_jcc_near() => length == 6,
        _ => false,
    }
}

/// Whether this marks a place for indirect jumps and does nothing.
pub(crate) fn is_mark(instruction: &Instruction) -> bool {
    instruction.code() == Code::Endbr64
}

/// Whether it jumps, on a condition, to a place that it states.
pub(crate) fn is_branch(instruction: &Instruction) -> bool {
    instruction.is_jcc_short_or_near()
}

/// Whether both of its operands are registers.
pub(crate) fn is_between_registers(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register && instruction.op1_kind() == OpKind::Register
}

/// Whether it calls a function.
pub(crate) fn is_call(instruction: &Instruction) -> bool {
    matches!(
        instruction.flow_control(),
        FlowControl::Call | FlowControl::IndirectCall
    )
}

/// Whether control leaves the straight line here, but for conditional jumps.
pub(crate) fn ends_line(instruction: &Instruction) -> bool {
    !matches!(
        instruction.flow_control(),
        FlowControl::Next | FlowControl::ConditionalBranch
    )
}

/// Where a direct call, jump or conditional jump goes.
pub(crate) fn target(instruction: &Instruction) -> Option<u64> {
    (instruction.is_call_near()
        || instruction.is_jmp_short_or_near()
        || instruction.is_jcc_short_or_near())
    .then(|| instruction.near_branch_target())
}

/// The word whose address a call or jump goes to.
pub(crate) fn slot(instruction: &Instruction) -> Option<u64> {
    (matches!(instruction.code(), Code::Call_rm64 | Code::Jmp_rm64)
        && instruction.memory_base() == Register::RIP)
        .then(|| instruction.ip_rel_memory_address())
}

/// Registers that a called function may change (System V ABI, AMD64, section 3.2.1).
pub(crate) const LOST_IN_CALLS: [Register; 9] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

/// Says which registers an instruction writes, and which it reads.
pub(crate) struct Writes(InstructionInfoFactory);

impl Writes {
    pub(crate) fn new() -> Self {
        Self(InstructionInfoFactory::new())
    }

    /// The whole registers that `instruction` writes, or may write, to any part of.
    pub(crate) fn of(&mut self, instruction: &Instruction) -> Vec<Register> {
        self.used(instruction, |access| {
            matches!(
                access,
                OpAccess::Write
                    | OpAccess::CondWrite
                    | OpAccess::ReadWrite
                    | OpAccess::ReadCondWrite
            )
        })
    }

    /// The whole registers of which it reads, or may read, any part.
    pub(crate) fn read_by(&mut self, instruction: &Instruction) -> Vec<Register> {
        self.used(instruction, |access| {
            matches!(
                access,
                OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            )
        })
    }

    fn used(&mut self, instruction: &Instruction, how: fn(OpAccess) -> bool) -> Vec<Register> {
        let used = self.0.info(instruction).used_registers().iter();
        used.filter(|used| how(used.access()))
            .map(|used| used.register().full_register())
            .collect()
    }
}

/// Whether no jump in `code` goes behind the address `first` and not behind `last`: then what is executed at `last` was
/// executed once since the beginning, if the way from there is straight.
pub(crate) fn is_entered_once(code: &[Instruction], first: u64, last: u64) -> bool {
    code.iter()
        .filter_map(target)
        .all(|target| target <= first || target > last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kernels_run_themselves() {
        let is_emulated = |bytes: &[u8]| match decode(bytes, 0x1000).as_slice() {
            [instruction] => is_emulated(instruction),
            _ => panic!("{bytes:x?}"),
        };
        for bytes in [
            [0x90].as_slice(),
            &[0x55],
            &[0x41, 0x54],
            &[0xeb, 2],
            &[0xe9, 0, 0, 0, 0],
            &[0xe8, 0, 0, 0, 0],
            &[0x74, 2],
            &[0x0f, 0x84, 0, 0, 0, 0],
        ] {
            assert!(is_emulated(bytes), "{bytes:x?}");
        }
        for bytes in [
            [0x66, 0x90].as_slice(),
            &[0x0f, 0x1f, 0],
            &[0x66, 0x0f, 0x1f, 0x44, 0, 0],
            &[0xc3],
            &[0x6a, 1],
            &[0xff, 0xd0],
            &[0x48, 0x89, 0xe5],
        ] {
            assert!(!is_emulated(bytes), "{bytes:x?}");
        }
    }
}
