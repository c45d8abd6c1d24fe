//! Who runs the program, on whose behalf, and what that allows.

use nix::unistd::{Gid, Group, Uid, User, geteuid};

/// Bits of the effective capability set (linux/capability.h).
const NEEDED: [(u32, &str); 3] = [(39, "CAP_BPF"), (12, "CAP_NET_ADMIN"), (38, "CAP_PERFMON")];
/// CAP_SYS_ADMIN, which has all three.
const SYS_ADMIN: u32 = 21;

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

/// Home folder of a user.
pub(crate) fn home_of(uid: u32) -> Option<std::path::PathBuf> {
    User::from_uid(Uid::from_raw(uid))
        .ok()
        .flatten()
        .map(|user| user.dir)
}

/// Capabilities that recording needs and this process lacks.
pub(crate) fn missing_capabilities() -> Vec<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .map(str::trim)
        .unwrap_or_default();
    let effective = u64::from_str_radix(effective, 16).unwrap_or(0);
    let has = |bit: u32| effective >> bit & 1 == 1;
    NEEDED
        .iter()
        .filter(|(bit, _)| !has(*bit) && !has(SYS_ADMIN))
        .map(|(_, name)| *name)
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
