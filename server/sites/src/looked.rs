//! What is told about a file.

/// A TLS library that probes can be put into.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Library {
    /// OpenSSL 1.1 and 3, and what has its functions, such as LibreSSL.
    OpenSsl,
    /// BoringSSL, with names or without.
    BoringSsl,
    /// GnuTLS.
    GnuTls,
    /// Go's crypto/tls.
    Go,
    /// rustls.
    Rustls,
}

impl Library {
    /// Its name, as its makers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenSsl => "OpenSSL",
            Self::BoringSsl => "BoringSSL",
            Self::GnuTls => "GnuTLS",
            Self::Go => "Go crypto/tls",
            Self::Rustls => "rustls",
        }
    }
}

/// A register that a call leaves as it was (System V ABI, AMD64, section 3.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Saved {
    /// rbx
    Rbx,
    /// rbp
    Rbp,
    /// r12
    R12,
    /// r13
    R13,
    /// r14
    R14,
    /// r15
    R15,
}

impl Saved {
    pub(crate) const ALL: [Self; 6] = [
        Self::Rbx,
        Self::Rbp,
        Self::R12,
        Self::R13,
        Self::R14,
        Self::R15,
    ];
}

/// Where a function has what it needs again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Kept {
    /// In a register that calls leave as it was.
    Register(Saved),
    /// In the frame, so many bytes above the stack pointer: fewer than [`Self::REACH`].
    Frame(u8),
}

impl Kept {
    /// Bytes of the frame, from the stack pointer on, in which something may be told to be.
    pub const REACH: u8 = 64;
}

/// What a probe at a site can rely on. Registers are those of `x86_64`; on `aarch64` the first four arguments are x0 to
/// x3 instead of rdi, rsi, rdx and rcx, and a result is x0 instead of rax.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Hook {
    /// A write begins: rdi is the session, rsi points to the bytes, edx says how many at most. The result of the
    /// [`Hook::Leave`] or [`Hook::LeaveReturn`] that follows in this thread is an `int`: how many, or not above zero.
    WriteEnter,
    /// A read begins; else as [`Hook::WriteEnter`]: the bytes are at rsi when the result is known.
    ReadEnter,
    /// As [`Hook::WriteEnter`], and rcx points to a `size_t`, which holds the count when the result is above zero.
    WriteEnterOut,
    /// As [`Hook::ReadEnter`], and rcx points to a `size_t`, which holds the count when the result is above zero.
    ReadEnterOut,
    /// As [`Hook::WriteEnterOut`], and it is r8 (x4) that points to the `size_t`: in OpenSSL since 3.3.
    WriteEnterOutFifth,
    /// As [`Hook::WriteEnterOut`], and it is the stack pointer that points to the `size_t`.
    WriteEnterStack,
    /// As [`Hook::ReadEnterOut`], and it is the stack pointer that points to the `size_t`.
    ReadEnterStack,
    /// A file begins to be sent by the kernel, which encrypts it: rdi is the session. The result of the
    /// [`Hook::LeaveReturn`] that follows in this thread is how many of its bytes, or not above zero.
    SendFileEnter,
    /// The call that was entered last in this thread is over, and eax is its result: a probe on an instruction.
    Leave,
    /// As [`Hook::Leave`], as a return probe at the offset.
    LeaveReturn,
    /// A read is over, of which no beginning is told: eax is its result, an `int`, above zero when bytes were read. All
    /// registers are of those that calls leave as they were.
    ReadDone {
        /// Which is the session.
        session: Saved,
        /// Which points to the bytes.
        bytes: Saved,
        /// Which points to a `size_t` that holds their count.
        count: Saved,
        /// Which says, by not being zero in its lower half, that the bytes were looked at and left where they are.
        unless: Option<Saved>,
    },
    /// Bytes that were decrypted are about to be copied to the program: rsi points to them, rdx says how many.
    Copied {
        /// Where the session is.
        session: Kept,
        /// Where the type of the bytes is (RFC 8446, section 5.1), an `int`.
        kind: Kept,
        /// Where it is said, by an `int` that is not zero, that they are looked at and left where they are.
        peeks: Kept,
    },
    /// Bytes of the session rdi are about to be encrypted, or have just been, and nothing of them is sent as yet: rdx points to
    /// them, rcx says how many. esi is their type (RFC 8446, section 5.1), an `int`. Each byte of a stream comes here once, however often
    /// a write is tried, and there is no leave.
    Encrypts,
    /// As [`Hook::Encrypts`], and rcx points to r8 counts, each a `size_t`, which together are how many.
    EncryptsRecords,
    /// The thread works on the session rdi.
    Touch,
    /// The session rdi ends, or one of those who hold it lets go of it. It may be null.
    Free,
    /// A session was made, which rax is where the function returns: a return probe at the offset. What was known of its place is of
    /// another, which has ended.
    Made,
    /// A write of Go begins: rax is the session, rbx points to the bytes, rcx says how many, r14 is the goroutine, which
    /// may go on in another thread; registers on `aarch64` are x0, x1, x2 and x28.
    GoWriteEnter,
    /// A read of Go begins; else as [`Hook::GoWriteEnter`]. The goroutine's stack may move before the read ends, and the
    /// bytes with it, when they are between its ends, the two words that r14 points to (the lower first): then they keep
    /// their distance from the upper end.
    GoReadEnter,
    /// What the goroutine r14 entered last is over, and rax (x0) says how many bytes; there may be an error as well.
    GoLeave,
    /// The goroutine r14 begins the handshake of the session rax (x0), in this thread at first.
    GoTouch,
    /// The goroutine r14 is about to write to a file or socket, in this thread.
    GoSend,
    /// The session rax (x0) is closed, not for the first time maybe.
    GoFree,
    /// A write to rustls begins; the result of the [`Hook::LeaveReturn`] that follows in this thread is how many bytes were
    /// taken. The session is the word at rdi plus `key` (rdi itself is not: it moves). rsi points to four words. Where the
    /// first is zero, the second is the address of the bytes and the third their count. Else the first is the address and
    /// the second the count of slices, each an address and a count; joined, the bytes are from the third word's to before
    /// the fourth's.
    RustlsWriteEnter {
        /// How far behind rdi the word is that stays with a session.
        key: u32,
    },
    /// The bytes of a record were decrypted for the program; there is no leave. The session is as with
    /// [`Hook::RustlsWriteEnter`]; rsi points to three words, of which the second is the address of the bytes and the
    /// third their count.
    RustlsRead {
        /// As with [`Hook::RustlsWriteEnter`].
        key: u32,
    },
    /// A message of the handshake is about to be encrypted for the session, which is as with [`Hook::RustlsWriteEnter`].
    /// It may be another before and after the handshake: with new keys comes another cipher, and before the first the word
    /// is the number 1.
    RustlsTouch {
        /// As with [`Hook::RustlsWriteEnter`].
        key: u32,
    },
    /// The session ends, which is as with [`Hook::RustlsWriteEnter`].
    RustlsFree {
        /// As with [`Hook::RustlsWriteEnter`].
        key: u32,
    },
}

impl Hook {
    /// Whether a return probe goes here.
    pub fn is_return(self) -> bool {
        matches!(self, Self::LeaveReturn | Self::Made)
    }
}

/// A place for a probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct Site {
    /// Where the instruction is in the file, as the kernel's uprobes want it.
    pub offset: u64,
    /// What a probe there can rely on.
    pub hook: Hook,
}

/// A library that was found, with its sites in the order of their offsets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Which.
    pub library: Library,
    /// Where its probes go.
    pub sites: Vec<Site>,
    /// Where they go instead when a probe can be told a number (its cookie): fewer of them see the same. Empty where that is
    /// not known.
    pub fewer: Vec<Site>,
}

/// What speaks TLS in a file, and whose clear bytes cannot be seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unsupported {
    /// What speaks TLS.
    pub library: &'static str,
    /// Why it cannot be seen.
    pub why: String,
}

/// What is told about a file. A program may have several libraries, some that can be seen and some that cannot; with
/// nothing in either, nothing in the file is known to speak TLS.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Looked {
    /// What was found.
    pub found: Vec<Found>,
    /// What cannot be seen.
    pub unsupported: Vec<Unsupported>,
}

impl Looked {
    pub(crate) fn found(&mut self, library: Library, sites: Vec<Site>, fewer: Vec<Site>) {
        self.found.push(Found {
            library,
            sites,
            fewer,
        });
    }

    pub(crate) fn unsupported(&mut self, library: &'static str, why: impl Into<String>) {
        let why = why.into();
        self.unsupported.push(Unsupported { library, why });
    }
}
