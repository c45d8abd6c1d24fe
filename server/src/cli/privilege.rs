//! Who runs the program, on whose behalf, and what that allows.

use std::{ffi::CString, process::Command};

use nix::unistd::{Gid, Group, Uid, User, geteuid, initgroups, setgid, setgroups, setuid};
use rustix::thread::CapabilitySet;

use crate::record::capabilities::reduce_to;

/// A capability(7), and what it is for here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capability {
    /// Its bit (linux/capability.h).
    bit: u32,
    /// Its name.
    pub(crate) name: &'static str,
    /// What cannot be done without it.
    pub(crate) without: &'static str,
    /// Whether nothing can be recorded without it.
    pub(crate) is_needed: bool,
}

/// All that make a difference, those that are needed first.
pub(crate) const CAPABILITIES: [Capability; 8] = [
    Capability {
        bit: 39,
        name: "CAP_BPF",
        without: "no probe can be loaded",
        is_needed: true,
    },
    Capability {
        bit: 12,
        name: "CAP_NET_ADMIN",
        without: "no probe can be attached to sockets",
        is_needed: true,
    },
    Capability {
        bit: 38,
        name: "CAP_PERFMON",
        without: "no probe can read what the kernel knows of processes",
        is_needed: true,
    },
    Capability {
        bit: 19,
        name: "CAP_SYS_PTRACE",
        without: "executables and open sockets of other users' processes are not told",
        is_needed: false,
    },
    Capability {
        bit: 2,
        name: "CAP_DAC_READ_SEARCH",
        without: "folders of /proc and of cgroups that are closed to this user are not looked into",
        is_needed: false,
    },
    Capability {
        bit: CHECKPOINT_RESTORE,
        name: "CAP_CHECKPOINT_RESTORE",
        without: "a TLS library is not read whose file has no name any more, or whose process ended at once",
        is_needed: false,
    },
    Capability {
        bit: 13,
        name: "CAP_NET_RAW",
        without: "the ICMP messages that explain failed connections and DNS queries are not told",
        is_needed: false,
    },
    Capability {
        bit: SYS_ADMIN,
        name: "CAP_SYS_ADMIN",
        without: "ICMP messages are told of this network namespace only",
        is_needed: false,
    },
];
/// CAP_SYS_ADMIN, which has the needed ones, and the one below.
const SYS_ADMIN: u32 = 21;
/// CAP_CHECKPOINT_RESTORE (Linux 5.9): to open what a process has mapped.
const CHECKPOINT_RESTORE: u32 = 40;

/// Gives the program the capabilities, but for CAP_SYS_ADMIN, with which whoever starts it could do nearly all that root can: so that this user can record without sudo.
pub(crate) fn grant() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "headwater".into());
    format!(
        "sudo setcap cap_bpf,cap_net_admin,cap_perfmon,cap_dac_read_search,cap_sys_ptrace,cap_checkpoint_restore,cap_net_raw+ep '{}'",
        program.display()
    )
}

/// Gives up what the program's file may have been given (`setcap`), for what only reads and answers: whoever may start the program
/// would read others' stores with it. Root, who may read them anyway, keeps what it has.
///
/// # Errors
/// The kernel's.
pub(crate) fn give_up_capabilities() -> rustix::io::Result<()> {
    if geteuid().is_root() {
        return Ok(());
    }
    without_capabilities()
}

/// The same for anybody.
///
/// # Errors
/// The kernel's.
pub(crate) fn without_capabilities() -> rustix::io::Result<()> {
    reduce_to(CapabilitySet::empty())
}

/// The user who called sudo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The user who called sudo, when there is one and this process could become them.
pub(crate) fn caller() -> Option<Caller> {
    if !geteuid().is_root() {
        return None;
    }
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let (uid, gid) = (number("SUDO_UID")?, number("SUDO_GID")?);
    (uid != 0).then_some(Caller { uid, gid })
}

/// Becomes the user with all of their groups, and names them in the command's environment, as `sudo -u` does.
///
/// # Errors
/// This process may not, or the user's name is none.
pub(crate) fn become_user(uid: u32, gid: u32, command: &mut Command) -> nix::Result<()> {
    let user = User::from_uid(uid.into())?;
    match &user {
        Some(user) => {
            let name = CString::new(user.name.as_bytes()).map_err(|_| nix::Error::EINVAL)?;
            initgroups(&name, gid.into())?;
        }
        // Nobody that the system knows has no other groups.
        None => setgroups(&[gid.into()])?,
    }
    // The ids are changed here: `Command::uid` would take the groups away again.
    setgid(gid.into())?;
    setuid(uid.into())?;
    if let Some(user) = user {
        command
            .env("USER", &user.name)
            .env("LOGNAME", &user.name)
            .env("HOME", &user.dir)
            .env("SHELL", &user.shell);
    }
    Ok(())
}

/// Home folder of a user.
pub(crate) fn home_of(uid: u32) -> Option<std::path::PathBuf> {
    User::from_uid(Uid::from_raw(uid))
        .ok()
        .flatten()
        .map(|user| user.dir)
}

/// Capabilities that this process lacks.
pub(crate) fn lacking_capabilities() -> Vec<Capability> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    lacking_of(&status)
}

/// Names of those that recording needs and this process lacks.
pub(crate) fn missing_capabilities() -> Vec<&'static str> {
    lacking_capabilities()
        .iter()
        .filter(|capability| capability.is_needed)
        .map(|capability| capability.name)
        .collect()
}

/// By the text of `/proc/PID/status`.
fn lacking_of(status: &str) -> Vec<Capability> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .map(str::trim)
        .unwrap_or_default();
    let effective = u64::from_str_radix(effective, 16).unwrap_or(0);
    let has = |bit: u32| effective >> bit & 1 == 1;
    CAPABILITIES
        .into_iter()
        .filter(|capability| {
            let implied =
                (capability.is_needed || capability.bit == CHECKPOINT_RESTORE) && has(SYS_ADMIN);
            !(implied || has(capability.bit))
        })
        .collect()
}

/// The group that may read the store: as named, else the caller's own under sudo, else `headwater` where it exists.
///
/// # Errors
/// What is wrong with the name, and what would be right.
pub(crate) fn reading_group(named: Option<&str>) -> Result<Option<u32>, String> {
    if let Some(name) = named {
        let by_number = name.parse::<u32>().ok().map(Gid::from_raw);
        let by_name = || Group::from_name(name).ok().flatten().map(|group| group.gid);
        return by_number.or_else(by_name).map(|gid| Some(gid.as_raw())).ok_or_else(|| {
            "--group: there is no group of that name; make it with `groupadd --system NAME`, or name one of `getent group`".to_string()
        });
    }
    if let Some(caller) = caller() {
        return Ok(Some(caller.gid));
    }
    Ok(Group::from_name("headwater")
        .ok()
        .flatten()
        .map(|group| group.gid.as_raw())
        .filter(|_| geteuid().is_root()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named() {
        let lacking = |effective: &str| -> Vec<_> {
            let status = format!("Name:\tx\nCapEff:\t{effective}\nCapBnd:\t0\n");
            let lacking = lacking_of(&status);
            lacking.iter().map(|capability| capability.name).collect()
        };
        let all: Vec<_> = CAPABILITIES
            .iter()
            .map(|capability| capability.name)
            .collect();
        assert_eq!(lacking("0000000000000000"), all);
        assert_eq!(lacking("000001ffffffffff"), [""; 0]);
        // CAP_SYS_ADMIN alone.
        assert_eq!(
            lacking("0000000000200000"),
            ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_NET_RAW"]
        );
        // CAP_BPF and CAP_PERFMON alone.
        assert_eq!(
            lacking("000000c000000000"),
            [
                "CAP_NET_ADMIN",
                "CAP_SYS_PTRACE",
                "CAP_DAC_READ_SEARCH",
                "CAP_CHECKPOINT_RESTORE",
                "CAP_NET_RAW",
                "CAP_SYS_ADMIN"
            ]
        );
        // Every other one is among those that are granted.
        for name in all.into_iter().filter(|name| *name != "CAP_SYS_ADMIN") {
            assert!(grant().contains(&name.to_ascii_lowercase()), "{name}");
        }
    }
}
