//! Where the arguments of a function are at each of its instructions: in registers, and in words of its own frame.
//!
//! Owns: to follow them over moves, over what the compiler puts by and takes back, and through loops, until nothing changes any
//! more: what is told of an instruction is so on every way to it. Of the frame that is held to be known which was put there
//! through the stack pointer and has not been written through it since; what others are given the address of is none of it, and
//! what is written into a row of words lies where that begins or behind it. A
//! function that has its frame in another register, moves its stack pointer otherwise than by what is stated, or jumps by a
//! table, is not told about at all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use iced_x86::{Code, FlowControl, Instruction, OpKind, Register};

use super::UNSIZED_FUNCTION;
use super::methods::code_at;
use super::values::ARGUMENTS;
use crate::Error;
use crate::image::Image;
use crate::x86::{self, Writes};

/// The most times that instructions are gone over.
const MOST_STEPS: usize = 1 << 16;
/// The most instructions of one function.
const MOST: usize = 4096;
/// The most pieces of code that one function is in.
const MOST_PIECES: usize = 16;
/// The most words of a frame that are remembered; what is put by beyond is not known.
const MOST_WORDS: usize = 64;

/// What is known of a register or word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Held {
    /// All of an argument, from 0 on.
    Whole(usize),
    /// Its lower half; there may be anything above.
    Lower(usize),
    /// An argument, and something added to it perhaps.
    From(usize),
    /// What was read from behind an argument.
    Field(usize),
    /// An address in the function's own frame.
    InFrame,
}

impl Held {
    /// What two ways have in common.
    fn joined(self, other: Self) -> Option<Self> {
        match (self, other) {
            _ if self == other => Some(self),
            (Self::Whole(one) | Self::From(one), Self::Whole(other) | Self::From(other))
                if one == other =>
            {
                Some(Self::From(one))
            }
            (Self::Whole(one) | Self::Lower(one), Self::Whole(other) | Self::Lower(other))
                if one == other =>
            {
                Some(Self::Lower(one))
            }
            _ => None,
        }
    }

    fn lower(self) -> Option<Self> {
        match self {
            Self::Whole(argument) | Self::Lower(argument) => Some(Self::Lower(argument)),
            Self::From(_) | Self::Field(_) | Self::InFrame => None,
        }
    }

    fn moved(self) -> Option<Self> {
        match self {
            Self::Whole(argument) | Self::From(argument) => Some(Self::From(argument)),
            Self::InFrame => Some(Self::InFrame),
            Self::Lower(_) | Self::Field(_) => None,
        }
    }
}

/// What is known at an instruction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Frame {
    /// How far the stack pointer is below where it was at the beginning.
    depth: i64,
    registers: BTreeMap<Register, Held>,
    /// By how far below that they begin: length and what is held.
    words: BTreeMap<i64, (i64, Held)>,
    /// Whether there was a call on every way: from then on nothing is where arguments are but what was put there.
    has_called: bool,
}

impl Frame {
    fn new() -> Self {
        let arguments = ARGUMENTS.into_iter().enumerate();
        Self {
            depth: 0,
            registers: arguments
                .map(|(index, register)| (register, Held::Whole(index)))
                .collect(),
            words: BTreeMap::new(),
            has_called: false,
        }
    }

    pub(super) fn has_called(&self) -> bool {
        self.has_called
    }

    pub(super) fn register(&self, register: Register) -> Option<Held> {
        self.registers.get(&register).copied()
    }

    /// The words in the frame, by their distance from the stack pointer.
    pub(super) fn words(&self) -> impl Iterator<Item = (u64, Held)> {
        self.words.iter().filter_map(|(place, (_, held))| {
            let distance = self.depth.checked_sub(*place)?;
            Some((u64::try_from(distance).ok()?, *held))
        })
    }

    fn put(&mut self, register: Register, held: Option<Held>) {
        match held {
            Some(held) => self.registers.insert(register, held),
            None => self.registers.remove(&register),
        };
    }

    /// Where an operand in the frame is, when it is there.
    fn place(&self, instruction: &Instruction) -> Option<i64> {
        let is_there = instruction.memory_base() == Register::RSP
            && instruction.memory_index() == Register::None
            && instruction.segment_prefix() == Register::None;
        is_there.then(|| self.below(instruction.memory_displacement64().cast_signed()))
    }

    fn below(&self, distance: i64) -> i64 {
        self.depth.wrapping_sub(distance)
    }

    /// So many bytes are written.
    fn overwrite(&mut self, place: i64, length: i64) {
        // Places are counted downwards.
        self.words
            .retain(|at, (size, _)| *at <= place - length || *at - *size >= place);
    }

    /// Words that others are given the address of may be written by them.
    fn forget(&mut self, given_away: &BTreeSet<i64>) {
        self.words.retain(|place, (length, _)| {
            // Places are counted downwards.
            given_away
                .range(*place - *length + 1..=*place)
                .next()
                .is_none()
        });
    }

    fn store(&mut self, place: i64, length: i64, held: Option<Held>) {
        self.overwrite(place, length);
        if let Some(held) = held
            && self.words.len() < MOST_WORDS
        {
            self.words.insert(place, (length, held));
        }
    }

    fn load(&self, place: i64, length: i64) -> Option<Held> {
        let (size, held) = *self.words.get(&place)?;
        match (length, size) {
            (8, 8) => Some(held),
            (4, 4 | 8) => held.lower(),
            _ => None,
        }
    }

    /// What both have in common; nothing where their frames are not the same.
    fn joined(&self, other: &Self) -> Option<Self> {
        if self.depth != other.depth {
            return None;
        }
        let mut registers = BTreeMap::new();
        for (register, held) in &self.registers {
            let other = other.registers.get(register);
            if let Some(held) = other.and_then(|other| held.joined(*other)) {
                registers.insert(*register, held);
            }
        }
        let mut words = BTreeMap::new();
        for (place, (size, held)) in &self.words {
            if let Some((other_size, other)) = other.words.get(place)
                && size == other_size
                && let Some(held) = held.joined(*other)
            {
                words.insert(*place, (*size, held));
            }
        }
        Some(Self {
            depth: self.depth,
            registers,
            words,
            has_called: self.has_called && other.has_called,
        })
    }

    /// An instruction that control goes on behind; nothing where the stack pointer is not known any more.
    fn step(&mut self, writes: &mut Writes, instruction: &Instruction) -> Option<()> {
        if self.moves_stack(instruction)? {
            return Some(());
        }
        let put = self.put_by(instruction);
        if may_write_frame(instruction) {
            self.write(instruction)?;
        }
        let to = instruction.op0_register();
        let is_to_register = instruction.op0_kind() == OpKind::Register;
        for register in writes.of(instruction) {
            if register == Register::RSP {
                return None;
            }
            let is_told = is_to_register && register == to.full_register();
            self.put(register, put.filter(|_| is_told));
        }
        Some(())
    }

    /// Whether an instruction moves the stack pointer by what it says; nothing where another register is to lead to the frame.
    fn moves_stack(&mut self, instruction: &Instruction) -> Option<bool> {
        let to = instruction.op0_register();
        match instruction.code() {
            Code::Push_r64 => {
                let held = self.register(to);
                self.depth += 8;
                self.store(self.depth, 8, held);
            }
            Code::Push_rm64 | Code::Pushq_imm8 | Code::Pushq_imm32 => {
                self.depth += 8;
                self.store(self.depth, 8, None);
            }
            Code::Pop_r64 if to != Register::RSP => {
                let held = self.load(self.depth, 8);
                self.depth -= 8;
                self.put(to, held);
            }
            Code::Sub_rm64_imm8 | Code::Sub_rm64_imm32 if to == Register::RSP => {
                let by = instruction.immediate(1).cast_signed();
                self.depth = self.depth.checked_add(by)?;
            }
            Code::Add_rm64_imm8 | Code::Add_rm64_imm32 if to == Register::RSP => {
                let by = instruction.immediate(1).cast_signed();
                self.depth = self.depth.checked_sub(by)?;
            }
            Code::Lea_r64_m if to == Register::RSP => self.depth = self.place(instruction)?,
            _ if x86::is_between_registers(instruction)
                && instruction.op1_register() == Register::RSP =>
            {
                return None;
            }
            _ => return Some(false),
        }
        Some(true)
    }

    /// What an instruction puts into the register that is its first operand.
    fn put_by(&self, instruction: &Instruction) -> Option<Held> {
        let (to, from) = (instruction.op0_register(), instruction.op1_register());
        let is_between = x86::is_between_registers(instruction);
        match instruction.code() {
            Code::Mov_r64_rm64 | Code::Mov_rm64_r64 if is_between => self.register(from),
            Code::Mov_r32_rm32 | Code::Mov_rm32_r32 if is_between => self.lower_of(from),
            Code::Mov_r64_rm64 => match self.place(instruction) {
                Some(place) => self.load(place, 8),
                None => self.field(instruction),
            },
            Code::Mov_r32_rm32 => self.load(self.place(instruction)?, 4),
            Code::Add_r64_rm64
            | Code::Add_rm64_r64
            | Code::Add_rm64_imm8
            | Code::Add_rm64_imm32 => {
                let added = if is_between { self.leading(from) } else { None };
                match (self.leading(to), added) {
                    (Some(held), None) | (None, Some(held)) => held.moved(),
                    _ => None,
                }
            }
            Code::Lea_r64_m if instruction.memory_base() == Register::RSP => Some(Held::InFrame),
            Code::Lea_r64_m if instruction.segment_prefix() == Register::None => {
                let base = self.leading(instruction.memory_base());
                let index = self.leading(instruction.memory_index());
                match (base, index) {
                    (Some(held), None) => held.moved(),
                    (None, Some(held)) if instruction.memory_index_scale() == 1 => held.moved(),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What a register holds that something may be added to; what was read from anywhere is a number like others.
    fn leading(&self, register: Register) -> Option<Held> {
        self.register(register)
            .filter(|held| !matches!(held, Held::Field(_)))
    }

    /// What is read from behind an argument.
    fn field(&self, instruction: &Instruction) -> Option<Held> {
        let is_plain = instruction.memory_index() == Register::None
            && instruction.segment_prefix() == Register::None;
        match self.register(instruction.memory_base()) {
            Some(Held::Whole(argument)) if is_plain => Some(Held::Field(argument)),
            _ => None,
        }
    }

    fn lower_of(&self, register: Register) -> Option<Held> {
        self.register(register.full_register())
            .and_then(Held::lower)
    }

    /// An instruction whose first operand the stack pointer leads to.
    fn write(&mut self, instruction: &Instruction) -> Option<()> {
        let length = i64::try_from(instruction.memory_size().size()).ok()?;
        let held = match instruction.code() {
            Code::Mov_rm64_r64 => self.register(instruction.op1_register()),
            Code::Mov_rm32_r32 => self.lower_of(instruction.op1_register()),
            _ => None,
        };
        match self.place(instruction) {
            Some(place) if length > 0 => self.store(place, length, held),
            // Into a row, which goes on from where it begins.
            None if length > 0 && instruction.segment_prefix() == Register::None => {
                let from = self.below(instruction.memory_displacement64().cast_signed());
                self.words.retain(|place, (size, _)| *place - *size >= from);
            }
            // How much is not told.
            _ => self.words.clear(),
        }
        Some(())
    }

    fn call(&mut self) {
        self.has_called = true;
        for register in x86::LOST_IN_CALLS {
            self.put(register, None);
        }
        // What is behind the stack pointer is the other's.
        let depth = self.depth;
        self.words.retain(|place, _| *place <= depth);
    }
}

/// Whether it may write what the stack pointer leads to.
fn may_write_frame(instruction: &Instruction) -> bool {
    instruction.op_count() > 0
        && instruction.op0_kind() == OpKind::Memory
        && instruction.memory_base() == Register::RSP
        && !matches!(
            instruction.mnemonic(),
            iced_x86::Mnemonic::Cmp | iced_x86::Mnemonic::Test
        )
}

/// A call, or a jump to another function, with what is known when it is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Going {
    pub(super) from: Instruction,
    pub(super) frame: Frame,
}

/// The instructions of a function, and of the parts of it that lie elsewhere.
struct Lines<'i, R> {
    image: &'i mut Image<R>,
    by_address: BTreeMap<u64, Instruction>,
    pieces: usize,
}

impl<R: Read + Seek> Lines<'_, R> {
    fn at(&mut self, address: u64) -> Result<Option<Instruction>, Error> {
        if let Some(instruction) = self.by_address.get(&address) {
            return Ok(Some(*instruction));
        }
        self.pieces += 1;
        if self.pieces > MOST_PIECES {
            return Ok(None);
        }
        let Some((_, code)) = code_at(self.image, address)? else {
            return Ok(None);
        };
        for instruction in code {
            // Where it meets what is known it goes on with that.
            if self
                .by_address
                .insert(instruction.ip(), instruction)
                .is_some()
            {
                break;
            }
        }
        Ok(self.by_address.get(&address).copied())
    }
}

/// Where the function at `address` goes elsewhere; nothing where it cannot be followed.
pub(super) fn goings<R: Read + Seek>(
    image: &mut Image<R>,
    address: u64,
) -> Result<Option<Vec<Going>>, Error> {
    let mut lines = Lines {
        image,
        by_address: BTreeMap::new(),
        pieces: 0,
    };
    let mut writes = Writes::new();
    let mut frames: BTreeMap<u64, Frame> = BTreeMap::from([(address, Frame::new())]);
    let mut open = BTreeSet::from([address]);
    let mut left = MOST_STEPS;
    let mut goings = BTreeSet::new();
    let mut given_away = BTreeSet::new();
    while let Some(at) = open.pop_first() {
        left -= 1;
        if left == 0 || frames.len() > MOST {
            return Ok(None);
        }
        let (Some(instruction), Some(mut frame)) = (lines.at(at)?, frames.get(&at).cloned()) else {
            return Ok(None);
        };
        let mut ways = Vec::new();
        match instruction.flow_control() {
            FlowControl::Next => {
                if instruction.code() == Code::Lea_r64_m
                    && instruction.memory_base() == Register::RSP
                {
                    given_away
                        .insert(frame.below(instruction.memory_displacement64().cast_signed()));
                }
                if frame.step(&mut writes, &instruction).is_none() {
                    return Ok(None);
                }
                ways.push(instruction.next_ip());
            }
            FlowControl::Call | FlowControl::IndirectCall => {
                goings.insert(at);
                frame.call();
                ways.push(instruction.next_ip());
            }
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                let Some(target) = x86::target(&instruction) else {
                    return Ok(None);
                };
                let is_conditional = instruction.flow_control() == FlowControl::ConditionalBranch;
                // With nothing of its own on the stack, and not near, it is another function.
                let is_near = target
                    .checked_sub(address)
                    .is_some_and(|far| far < UNSIZED_FUNCTION);
                if frame.depth == 0 && !is_near {
                    goings.insert(at);
                } else {
                    ways.push(target);
                }
                if is_conditional {
                    ways.push(instruction.next_ip());
                }
            }
            // Another function too; else it jumps by a table.
            FlowControl::IndirectBranch if frame.depth == 0 => {
                goings.insert(at);
            }
            FlowControl::Return | FlowControl::Exception | FlowControl::Interrupt => {}
            _ => return Ok(None),
        }
        for way in ways {
            let joined = match frames.get(&way) {
                None => frame.clone(),
                Some(known) => match known.joined(&frame) {
                    Some(joined) if joined == *known => continue,
                    Some(joined) => joined,
                    None => return Ok(None),
                },
            };
            frames.insert(way, joined);
            open.insert(way);
        }
    }
    let of = |at: &u64| {
        let mut frame = frames.get(at)?.clone();
        frame.forget(&given_away);
        let from = *lines.by_address.get(at)?;
        Some(Going { from, frame })
    };
    Ok(Some(goings.iter().filter_map(of).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known behind these instructions; nothing where the frame is not.
    fn behind(bytes: &[u8]) -> Option<Frame> {
        let mut frame = Frame::new();
        let mut writes = Writes::new();
        for instruction in x86::decode(bytes, 0x1000) {
            if instruction.flow_control() == FlowControl::Call {
                frame.call();
            } else {
                frame.step(&mut writes, &instruction)?;
            }
        }
        Some(frame)
    }

    fn words(bytes: &[u8]) -> Vec<(u64, Held)> {
        behind(bytes).unwrap().words().collect()
    }

    /// push %rbx; sub $0x48, %rsp; mov %rdi, 0x28(%rsp); mov %esi, 4(%rsp)
    const PUT_BY: &[u8] = &[
        0x53, 0x48, 0x83, 0xec, 0x48, 0x48, 0x89, 0x7c, 0x24, 0x28, 0x89, 0x74, 0x24, 4,
    ];

    #[test]
    fn what_is_put_by_and_taken_back() {
        let both = [(0x28, Held::Whole(0)), (4, Held::Lower(1))];
        assert_eq!(words(PUT_BY), both);
        // call .; mov 0x28(%rsp), %r13; mov 4(%rsp), %eax; cmp $23, %eax; test %r13, %r13
        let more = [
            0xe8, 0, 0, 0, 0, 0x4c, 0x8b, 0x6c, 0x24, 0x28, 0x8b, 0x44, 0x24, 4, 0x83, 0xf8, 23,
            0x4d, 0x85, 0xed,
        ];
        let frame = behind(&[PUT_BY, &more].concat()).unwrap();
        assert_eq!(frame.register(Register::R13), Some(Held::Whole(0)));
        assert_eq!(frame.register(Register::RAX), Some(Held::Lower(1)));
        assert_eq!(frame.register(Register::RDI), None, "lost in the call");
        assert!(frame.has_called());
        // push %rax; sub $8, %rsp: further from the stack pointer.
        let deeper = [PUT_BY, &[0x50, 0x48, 0x83, 0xec, 8]].concat();
        assert_eq!(words(&deeper), both.map(|(place, held)| (place + 16, held)));
        // add %rax, %rcx; lea 8(%rcx,%rdx), %r8: something added, and two arguments.
        let frame = behind(&[0x48, 0x01, 0xc1, 0x4c, 0x8d, 0x44, 0x11, 8]).unwrap();
        assert_eq!(frame.register(Register::RCX), Some(Held::From(3)));
        assert_eq!(frame.register(Register::R8), None);
        // mov 0x10(%rdi), %rax; lea 8(%rsp), %rcx; mov %rcx, %r9; add %rax, %r9; lea (%rdx,%rax), %r8; mov (%rcx), %rsi
        let frame = behind(&[
            0x48, 0x8b, 0x47, 0x10, 0x48, 0x8d, 0x4c, 0x24, 8, 0x49, 0x89, 0xc9, 0x49, 0x01, 0xc1,
            0x4c, 0x8d, 0x04, 0x02, 0x48, 0x8b, 0x31,
        ])
        .unwrap();
        assert_eq!(frame.register(Register::RAX), Some(Held::Field(0)));
        for register in [Register::RCX, Register::R9] {
            assert_eq!(frame.register(register), Some(Held::InFrame));
        }
        assert_eq!(frame.register(Register::R8), Some(Held::From(2)));
        assert_eq!(frame.register(Register::RSI), None);
        assert!(!frame.has_called());
    }

    #[test]
    fn what_is_not_known_any_more() {
        for (more, left) in [
            // movb $0, 7(%rsp); movl $0, 0x2c(%rsp); movq $0, (%rsp)
            (&[0xc6, 0x44, 0x24, 7, 0][..], &[(0x28, Held::Whole(0))][..]),
            (
                &[0xc7, 0x44, 0x24, 0x2c, 0, 0, 0, 0],
                &[(4, Held::Lower(1))],
            ),
            (
                &[0x48, 0xc7, 0x04, 0x24, 0, 0, 0, 0],
                &[(0x28, Held::Whole(0))],
            ),
            // mov %eax, 8(%rsp): beside both.
            (
                &[0x89, 0x44, 0x24, 8],
                &[(0x28, Held::Whole(0)), (4, Held::Lower(1))],
            ),
            // movb $0, 0x10(%rsp,%rax): a row behind one of them.
            (&[0xc6, 0x44, 0x04, 0x10, 0], &[(4, Held::Lower(1))]),
            // add $0x30, %rsp; call .; sub $0x30, %rsp
            (
                &[
                    0x48, 0x83, 0xc4, 0x30, 0xe8, 0, 0, 0, 0, 0x48, 0x83, 0xec, 0x30,
                ],
                &[],
            ),
        ] {
            assert_eq!(words(&[PUT_BY, more].concat()), left, "{more:x?}");
        }
        for lost in [
            // mov %rsp, %rbp; and $-16, %rsp; mov %rax, %rsp; pop %rsp
            &[0x48, 0x89, 0xe5][..],
            &[0x48, 0x83, 0xe4, 0xf0],
            &[0x48, 0x89, 0xc4],
            &[0x5c],
        ] {
            assert_eq!(behind(&[PUT_BY, lost].concat()), None, "{lost:x?}");
        }
        let mut frame = behind(PUT_BY).unwrap();
        frame.forget(&BTreeSet::from([frame.below(4)]));
        assert_eq!(frame.words().count(), 1, "its address was given away");
    }

    #[test]
    fn what_two_ways_have_in_common() {
        use Held::{Field, From, InFrame, Lower, Whole};
        for (one, other, both) in [
            (Whole(3), Whole(3), Some(Whole(3))),
            (Whole(3), From(3), Some(From(3))),
            (Whole(1), Lower(1), Some(Lower(1))),
            (Lower(1), From(1), None),
            (Whole(0), Whole(1), None),
            (Field(0), Field(0), Some(Field(0))),
            (Field(0), Whole(0), None),
            (InFrame, From(0), None),
        ] {
            assert_eq!(one.joined(other), both);
            assert_eq!(other.joined(one), both);
        }
        let one = behind(PUT_BY).unwrap();
        // mov %rdi, %r12; movl $0, 4(%rsp)
        let more = [0x49, 0x89, 0xfc, 0xc7, 0x44, 0x24, 4, 0, 0, 0, 0];
        let other = behind(&[PUT_BY, &more].concat()).unwrap();
        let both = one.joined(&other).unwrap();
        assert_eq!(both.words().collect::<Vec<_>>(), [(0x28, Whole(0))]);
        assert_eq!(both.register(Register::R12), None);
        let deeper = behind(&[PUT_BY, &[0x50]].concat()).unwrap();
        assert_eq!(one.joined(&deeper), None);
    }
}
