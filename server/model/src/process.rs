//! Processes and the services that they are parts of.

use headwater_redact::{CommandLine, Text};

/// A process by its identity on this machine in this boot: numbers are reused, pairs are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// Process id in the initial pid namespace (the kernel's `tgid`).
    pub pid: u32,
    /// Start time on the boot clock in nanoseconds, cut to clock ticks (10 ms) so that `/proc` and the kernel agree; 0 when unknown.
    pub start_boot_ns: u64,
}

/// One process that owned an end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its identity.
    pub key: ProcessKey,
    /// `process.executable.name`, or the kernel's `comm` when the executable could not be read any more.
    pub executable_name: Text,
    /// `process.executable.path`, when it could be read.
    pub executable_path: Option<Text>,
    /// `process.command_line`, redacted, when it could be read.
    pub command_line: Option<CommandLine>,
    /// Path in the cgroup v2 tree, when known.
    pub cgroup: Option<Text>,
    /// `container.id`: 64 hexadecimal digits found in the cgroup path.
    pub container_id: Option<String>,
    /// When it began; 0 when unknown.
    pub start_ns: u64,
    /// The process that forked it, when that was told.
    pub forked_from: Option<u32>,
    /// When it began to run its program (execve), when that was told.
    pub executed_ns: Option<u64>,
    /// Parent, grandparent and so on, nearest first: those that forked, and those that it was found under when it was first seen.
    pub ancestors: Vec<u32>,
    /// The service that it belongs to.
    pub service: Service,
}

/// A process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessEnd {
    /// Its identity.
    pub key: ProcessKey,
    /// When.
    pub at_ns: u64,
    /// How.
    pub status: ExitStatus,
}

/// How a process ended (wait(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// `process.exit.code`: 0 is success.
    Code(u8),
    /// It was killed by this signal.
    Signal(u8),
}

/// What kind of thing gave a service its name. Also the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceKind {
    /// A container, by its id or name.
    Container,
    /// A systemd unit.
    Unit,
    /// A program that is neither, by its executable name.
    Program,
    /// A remote host, by the name it was reached by.
    Host,
    /// A remote host, by its address alone.
    Address,
}

/// Who serves or calls, in the word of every tool; equal across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service {
    /// How the name was found.
    pub kind: ServiceKind,
    /// The name: `nginx.service`, a container's short id, a program, a host name or an address.
    pub name: Text,
    /// The listening port for a service that serves; `None` for a caller.
    pub port: Option<u16>,
}
