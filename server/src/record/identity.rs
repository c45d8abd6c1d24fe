//! Who is at an end, found in what the kernel told of execve, and in `/proc`.
//!
//! Owns: bounded memories of programs begun, of processes named, of cgroup paths and of listeners. Does not trust a process
//! number alone: a process is its number and its start.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use headwater_assembly::{Identities, Identity, Owner};
use headwater_model::{Evidence, Process, ProcessEnd, ProcessKey, Service};
use headwater_redact::{CommandLine, Redactor, Text};

use super::{
    decode::{Exec, Exit},
    lineage::Lineage,
    listener::Listeners,
    service::service_of,
};
use crate::probes::{Forks, cgroup_mount, cgroup_paths};

/// Programs begun that are remembered until somebody asks for them.
const MAX_BEGUN: usize = 4096;
/// Programs of processes that have ended, kept for the children that they forked.
const MAX_ENDED: usize = 1024;
/// Processes remembered as named.
const MAX_NAMED: usize = 8192;
/// Clock ticks of `/proc/PID/stat` (USER_HZ is 100 on every architecture that Linux supports today).
pub(super) const TICK_NS: u64 = 10_000_000;

struct Begun {
    at_ns: u64,
    name: Option<Text>,
    path: Text,
    arguments: CommandLine,
}

/// A process that is met.
struct Met<'m> {
    key: ProcessKey,
    /// As exactly as it is known; 0 when it is not.
    start_ns: u64,
    comm: &'m [u8],
    cgroup_id: u64,
    /// Whom it was found under.
    ancestors: &'m [u32],
    evidence: Evidence,
}

/// What full memories had to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Forgotten {
    /// Programs begun that nobody had asked for.
    pub(crate) programs: u64,
    /// Processes, which are looked at and told again when they are next met.
    pub(crate) processes: u64,
}

/// The memories.
pub(crate) struct ProcIdentities {
    redactor: Redactor,
    mount: Option<PathBuf>,
    cgroups: HashMap<u64, Text>,
    begun: HashMap<ProcessKey, Begun>,
    /// Those of them that have ended.
    ended: VecDeque<ProcessKey>,
    forks: Forks,
    named: HashMap<ProcessKey, (Service, bool)>,
    listeners: Listeners,
    own_executable: Option<(u64, u64)>,
    forgotten: Forgotten,
}

impl ProcIdentities {
    pub(crate) fn new(redactor: Redactor, forks: Forks) -> Self {
        let own = std::fs::metadata("/proc/self/exe")
            .ok()
            .map(|metadata| (metadata.dev(), metadata.ino()));
        Self {
            redactor,
            mount: cgroup_mount(),
            cgroups: HashMap::new(),
            begun: HashMap::new(),
            ended: VecDeque::new(),
            forks,
            named: HashMap::new(),
            listeners: Listeners::new(),
            own_executable: own,
            forgotten: Forgotten::default(),
        }
    }

    /// What was forgotten since last asked.
    pub(crate) fn news_of_forgotten(&mut self) -> Forgotten {
        std::mem::take(&mut self.forgotten)
    }

    /// Remembers a program begun: its path and arguments may be gone when its first packet is looked at.
    pub(crate) fn begun(&mut self, exec: &Exec<'_>) {
        if self.begun.len() >= MAX_BEGUN {
            self.forgotten.programs += self.begun.len() as u64;
            self.begun.clear();
            self.ended.clear();
        }
        let key = key(exec.pid, exec.start_boot_ns);
        // The same process may have been named before its execve, when it was still a copy of its parent.
        self.named.remove(&key);
        let begun = Begun {
            at_ns: exec.at_ns,
            name: (!exec.name.is_empty()).then(|| self.redactor.phrase(exec.name)),
            path: self.redactor.file_path(exec.path),
            arguments: self.redactor.command_line(exec.arguments),
        };
        self.begun.insert(key, begun);
    }

    /// What is to be told of a process that ended: nothing, when nothing was told of it before.
    pub(crate) fn ended(&mut self, exit: &Exit) -> Option<ProcessEnd> {
        let key = key(exit.pid, exit.start_boot_ns);
        self.listeners
            .ended(key.pid, key.start_boot_ns / TICK_NS, exit.at_ns);
        if self.begun.contains_key(&key) {
            // What it forked may have yet to be met.
            self.ended.push_back(key);
        }
        if self.ended.len() > MAX_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.begun.remove(&oldest);
        }
        self.named.contains_key(&key).then_some(ProcessEnd {
            key,
            at_ns: exit.at_ns,
            status: exit.status,
        })
    }

    fn cgroup(&mut self, id: u64) -> Option<Text> {
        if id == 0 {
            return None;
        }
        if !self.cgroups.contains_key(&id) {
            let paths = cgroup_paths(self.mount.as_deref()?);
            let redactor = &mut self.redactor;
            self.cgroups = paths
                .into_iter()
                .map(|(id, path)| (id, redactor.file_path(path.as_bytes())))
                .collect();
            // A cgroup that is gone already is not looked for again and again.
            self.cgroups
                .entry(id)
                .or_insert_with(|| redactor.phrase(b"(gone)"));
        }
        self.cgroups.get(&id).cloned()
    }

    /// What is known of the process that a process without a program of its own is a copy of: the nearest of those that forked
    /// it and one another of which anything is, else whom it was found under, who may be there as yet.
    fn forebear(
        &self,
        lineage: &Lineage,
        ancestors: &[u32],
        comm: &[u8],
    ) -> (Looked, Option<ProcessKey>) {
        for (forebear, forked_ns) in &lineage.forebears {
            let begun = self.begun.get(forebear);
            if begun.is_some_and(|begun| begun.at_ns > *forked_ns) {
                // It has become another program since.
                break;
            }
            let looked = Looked::at(*forebear);
            if begun.is_some() || looked.executable.is_some() {
                return (looked, begun.map(|_| *forebear));
            }
        }
        (Looked::at_parent(ancestors, comm), None)
    }

    /// `None` for a process of which nothing but its number is left: without the kernel's types there is no short name.
    fn name(&mut self, met: &Met<'_>) -> Option<Identity> {
        let (key, evidence) = (met.key, met.evidence);
        if let Some((service, own)) = self.named.get(&key) {
            return Some(Identity {
                key,
                service: service.clone(),
                evidence,
                own: *own,
                news: None,
            });
        }
        let comm = met.comm.split(|byte| *byte == 0).next().unwrap_or_default();
        let lineage = Lineage::of(key, |pid| self.forks.of(pid));
        let executed_ns = self.begun.get(&key).map(|begun| begun.at_ns);
        let mut looked = Looked::at(key);
        let mut program = Some(key);
        if looked.executable.is_none() && executed_ns.is_none() {
            // Gone, and no execve of its own was seen: a copy of its parent.
            (looked, program) = self.forebear(&lineage, met.ancestors, comm);
        }
        let begun = program.and_then(|program| self.begun.get(&program));
        let path = match (&looked.executable, begun) {
            (Some(path), _) => Some(self.redactor.file_path(path)),
            (None, Some(begun)) => Some(begun.path.clone()),
            (None, None) => None,
        };
        let command_line = match (&looked.command_line, begun) {
            (Some(line), _) => Some(self.redactor.command_line(line)),
            (None, Some(begun)) => Some(begun.arguments.clone()),
            (None, None) => None,
        };
        // The name of the file that runs wins over the path that was asked for, which may be a link, a script or
        // `/proc/self/exe`: so a process has one name, whether it is looked at while it runs or afterwards.
        let begun_name = begun
            .filter(|_| looked.executable.is_none())
            .and_then(|begun| begun.name.clone());
        let path_name = path
            .as_ref()
            .and_then(|path| path.as_str().rsplit('/').next())
            .filter(|name| !name.is_empty());
        let executable_name = match (begun_name, path_name) {
            (Some(name), _) => name,
            (None, Some(name)) => self.redactor.phrase(name.as_bytes()),
            (None, None) if comm.is_empty() => return None,
            (None, None) => self.redactor.phrase(comm),
        };
        let cgroup = match &looked.cgroup {
            Some(path) => Some(self.redactor.file_path(path)),
            None => self.cgroup(met.cgroup_id),
        };
        let (service, container_id) =
            service_of(cgroup.as_ref(), &executable_name, &mut self.redactor);
        let own = looked.identity.is_some() && looked.identity == self.own_executable;
        let process = Process {
            key,
            executable_name,
            executable_path: path,
            command_line,
            cgroup,
            container_id,
            start_ns: lineage.forked_ns.unwrap_or(met.start_ns),
            forked_from: lineage.parent(),
            executed_ns,
            ancestors: lineage.ancestors(met.ancestors),
            service: service.clone(),
        };
        if self.named.len() >= MAX_NAMED {
            self.forgotten.processes += self.named.len() as u64;
            self.named.clear();
        }
        self.named.insert(key, (service.clone(), own));
        Some(Identity {
            key,
            service,
            evidence,
            own,
            news: Some(Box::new(process)),
        })
    }
}

impl Identities for ProcIdentities {
    fn owner(&mut self, owner: &Owner) -> Option<Identity> {
        let evidence = if owner.certain {
            Evidence::SocketLock
        } else {
            Evidence::TurnStart
        };
        self.name(&Met {
            key: key(owner.pid, owner.start_boot_ns),
            start_ns: owner.start_boot_ns,
            comm: &owner.comm,
            cgroup_id: owner.cgroup_id,
            ancestors: &owner.ancestors,
            evidence,
        })
    }

    fn served(&mut self, netns: u32, local: SocketAddr, process: ProcessKey) {
        self.listeners
            .served(netns, local, process.pid, process.start_boot_ns / TICK_NS);
    }

    fn listener(&mut self, netns: u32, local: SocketAddr, at_ns: u64) -> Option<Identity> {
        let found = self.listeners.find(netns, local, at_ns)?;
        let key = key(found.pid, found.start_ticks * TICK_NS);
        self.name(&Met {
            key,
            start_ns: key.start_boot_ns,
            comm: found.comm.as_bytes(),
            cgroup_id: 0,
            ancestors: &[found.parent],
            evidence: Evidence::Proc,
        })
    }
}

/// A process by its number and its start, as exactly as `/proc` tells it.
pub(super) fn key(pid: u32, start_boot_ns: u64) -> ProcessKey {
    ProcessKey {
        pid,
        start_boot_ns: start_boot_ns / TICK_NS * TICK_NS,
    }
}

/// What `/proc` still tells of a process.
#[derive(Default)]
struct Looked {
    comm: Vec<u8>,
    executable: Option<Vec<u8>>,
    command_line: Option<Vec<u8>>,
    cgroup: Option<Vec<u8>>,
    identity: Option<(u64, u64)>,
}

impl Looked {
    /// The first of the ancestors, if it still goes by the same short name.
    fn at_parent(ancestors: &[u32], comm: &[u8]) -> Self {
        let Some(parent) = ancestors.first().filter(|pid| **pid > 1) else {
            return Self::default();
        };
        let looked = Self::at(ProcessKey {
            pid: *parent,
            start_boot_ns: 0,
        });
        if looked.comm == comm {
            looked
        } else {
            Self::default()
        }
    }

    fn at(key: ProcessKey) -> Self {
        let Ok(process) = procfs::process::Process::new(i32::try_from(key.pid).unwrap_or(0)) else {
            return Self::default();
        };
        let Ok(stat) = process.stat() else {
            return Self::default();
        };
        if key.start_boot_ns != 0 && stat.starttime * TICK_NS != key.start_boot_ns {
            return Self::default();
        }
        let comm = stat.comm.into_bytes();
        let folder = PathBuf::from(format!("/proc/{}", key.pid));
        let executable = process
            .exe()
            .ok()
            .map(|path| path.into_os_string().into_encoded_bytes());
        let cgroup = process.cgroups().ok().and_then(|groups| {
            // Container engines and systemd may still name the container in a v1 hierarchy of a hybrid machine.
            let v2 = groups
                .0
                .iter()
                .find(|group| group.hierarchy == 0)
                .map(|group| group.pathname.clone());
            let v1 = groups
                .0
                .iter()
                .map(|group| &group.pathname)
                .find(|path| super::service::container_id(path).is_some())
                .cloned();
            v1.or(v2).map(String::into_bytes)
        });
        Self {
            comm,
            executable,
            command_line: std::fs::read(folder.join("cmdline"))
                .ok()
                .filter(|line| !line.is_empty()),
            cgroup,
            identity: std::fs::metadata(folder.join("exe"))
                .ok()
                .map(|metadata| (metadata.dev(), metadata.ino())),
        }
    }
}
