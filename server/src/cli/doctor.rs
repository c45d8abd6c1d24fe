//! `doctor`: what this kernel and this user can do, what will be missing and why, and the command that mends it.

mod tiers;

use std::{fmt::Write as _, path::Path};

use clap::Args;
use headwater_query::{Recorder, Store, StoreState};
use tokio_util::sync::CancellationToken;

use self::tiers::{Links, Tier};
use super::{
    Exit,
    output::answer,
    privilege::{CAPABILITIES, grant, lacking_capabilities},
};
use crate::{
    paths::store_of,
    probes::{Btf, Offsets, ProbeError, ProbeSettings, Probes, cgroup_mount},
    record::try_to_open,
};

/// How to tell it.
#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArguments {
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// How one check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// All well.
    Good,
    /// Something will be missing.
    Less,
    /// Recording is not possible.
    Bad,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Less => "less",
            Self::Bad => "no",
        }
    }
}

/// One check.
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    cure: Option<String>,
}

/// Looks at everything and tells it. Exit 0 when recording is possible, 69 when not.
pub(super) fn doctor(db: Option<&Path>, arguments: &DoctorArguments) -> Exit {
    let mut findings = vec![kernel(), cgroup(), types(), capabilities()];
    let (attached, links) = attach(&findings);
    findings.extend(attached);
    findings.push(icmp());
    findings.push(store(db));
    let possible = findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Bad);
    let tiers = tiers::of(links, &lacking_capabilities());
    answer(&if arguments.json {
        in_json(&findings, &tiers, possible)
    } else {
        in_words(&findings, &tiers, possible)
    });
    if possible {
        Exit::Done
    } else {
        Exit::Unavailable
    }
}

fn kernel() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .unwrap_or_default()
        .trim()
        .to_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let (verdict, cure) = if version >= (5, 10) {
        (Verdict::Good, None)
    } else {
        (
            Verdict::Bad,
            Some(
                "install and boot Linux 5.10 or later (Debian: sudo apt install linux-image-$(dpkg --print-architecture) && \
                 sudo reboot); until then, `headwater replay FILE` reads capture files here"
                    .to_owned(),
            ),
        )
    };
    Finding {
        check: "kernel",
        verdict,
        found: format!("Linux {release}; 5.10 is the oldest that is tried"),
        cure,
    }
}

fn cgroup() -> Finding {
    match cgroup_mount() {
        Some(path) => Finding {
            check: "cgroup v2",
            verdict: Verdict::Good,
            found: format!("mounted at {}", path.display()),
            cure: None,
        },
        None => Finding {
            check: "cgroup v2",
            verdict: Verdict::Bad,
            found: "not mounted".to_owned(),
            cure: Some(MOUNT_CGROUP.to_owned()),
        },
    }
}

const MOUNT_CGROUP: &str =
    "sudo mkdir -p /sys/fs/cgroup/unified && sudo mount -t cgroup2 none /sys/fs/cgroup/unified";

fn types() -> Finding {
    if Btf::of_kernel().is_none() {
        return Finding {
            check: "kernel types (BTF)",
            verdict: Verdict::Less,
            found: "none at /sys/kernel/btf/vmlinux: owners of sockets are strong evidence, not certain, and before Linux 6.10 only those that listen are known; network namespaces, exits and command lines of short-lived programs are not told".to_owned(),
            cure: Some(BOOT_WITH_TYPES.to_owned()),
        };
    }
    let offsets = Offsets::of_kernel();
    let all = offsets.socket_lock() && offsets.task() && offsets.netns();
    Finding {
        check: "kernel types (BTF)",
        verdict: if all { Verdict::Good } else { Verdict::Less },
        found: if all {
            "known: owners of sockets are certain".to_owned()
        } else {
            "known in part: some owners are strong evidence only".to_owned()
        },
        cure: (!all).then(|| BOOT_WITH_TYPES.to_owned()),
    }
}

/// A command for distributions' kernels; others know what they have built.
const BOOT_WITH_TYPES: &str = "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions' kernels since 2020 are \
    (Debian: sudo apt install linux-image-$(dpkg --print-architecture) && sudo reboot)";

fn capabilities() -> Finding {
    let lacking = lacking_capabilities();
    let lacks: Vec<_> = lacking
        .iter()
        .map(|capability| format!("{}: {}", capability.name, capability.without))
        .collect();
    let (verdict, found) = if lacking.is_empty() {
        (Verdict::Good, "this user may record".to_owned())
    } else if lacking.iter().any(|capability| capability.is_needed) {
        let found = format!(
            "this user lacks {}; reading, replay and MCP need none",
            lacks.join("; ")
        );
        (Verdict::Bad, found)
    } else {
        let found = format!("this user may record, and lacks {}", lacks.join("; "));
        (Verdict::Less, found)
    };
    Finding {
        check: "privileges",
        verdict,
        found,
        cure: match lacking.as_slice() {
            [] => None,
            // The one that `grant` leaves out.
            [one] if one.name == "CAP_SYS_ADMIN" => Some("sudo headwater up".to_owned()),
            _ => Some(format!(
                "sudo headwater up, or once and for all: {}",
                grant()
            )),
        },
    }
}

/// Attaches everything for a moment: the probes at sockets, and what TLS libraries need.
fn attach(before: &[Finding]) -> (Vec<Finding>, Links) {
    let check = "probes";
    if before.iter().any(|finding| finding.verdict == Verdict::Bad) {
        let finding = Finding {
            check,
            verdict: Verdict::Bad,
            found: "not tried, for the reasons above".to_owned(),
            cure: Some("headwater doctor, once these are mended".to_owned()),
        };
        return (vec![finding], Links::Unknown);
    }
    let settings = ProbeSettings {
        cap: 8192,
        ring_bytes: 1 << 20,
        tls: true,
        tls_of_some: false,
        without_btf: false,
    };
    let probes = match Probes::attach(&settings) {
        Ok(probes) => probes,
        Err(error) => {
            let finding = Finding {
                check,
                verdict: Verdict::Bad,
                cure: Some(cure_of(&error).to_owned()),
                found: with_sources(&error),
            };
            return (vec![finding], Links::Unknown);
        }
    };
    let sockets = if probes.missing.is_empty() {
        Finding {
            check,
            verdict: Verdict::Good,
            found: "attached, and detached again".to_owned(),
            cure: None,
        }
    } else {
        Finding {
            check,
            verdict: Verdict::Less,
            found: format!("attached; not seen: {}", probes.missing.join("; ")),
            cure: Some(what_tells_more()),
        }
    };
    let links = Links::of(probes.uprobes.as_ref());
    (vec![sockets, tls(links)], links)
}

/// What the kernel lets be put into TLS libraries.
fn tls(links: Links) -> Finding {
    let (verdict, found) = match links {
        Links::Unheard => (
            Verdict::Less,
            "their plaintext is not read: the kernel does not tell this user which files are mapped (perf events: CAP_PERFMON, on hardened kernels CAP_SYS_ADMIN)",
        ),
        Links::Multi => (
            Verdict::Good,
            "their plaintext can be read, by links of many places at once (needs no CAP_SYS_ADMIN)",
        ),
        Links::MultiAndEvents => (
            Verdict::Good,
            "their plaintext can be read, by links of many places at once (this kernel asks CAP_SYS_ADMIN to tell which files are mapped)",
        ),
        Links::Perf => (
            Verdict::Good,
            "their plaintext can be read, by a perf event for each place (hardened kernels ask CAP_SYS_ADMIN for that; Linux 6.6 and later do not need it)",
        ),
        Links::Unknown => (
            Verdict::Less,
            "their plaintext is not read: the kernel has no uprobes, or this user may not use them",
        ),
    };
    Finding {
        check: "TLS libraries",
        verdict,
        found: found.to_owned(),
        cure: (verdict != Verdict::Good).then(|| "sudo headwater up".to_owned()),
    }
}

/// What mends it that some of what the probes ask for is not in this kernel.
fn what_tells_more() -> String {
    let offsets = Offsets::of_kernel();
    if offsets.socket_lock() && offsets.drop_reasons.is_empty() {
        return "boot Linux 5.17 or later".to_owned();
    }
    BOOT_WITH_TYPES.to_owned()
}

fn icmp() -> Finding {
    let check = "ICMP";
    match try_to_open() {
        Ok(()) => Finding {
            check,
            verdict: Verdict::Good,
            found:
                "raw sockets can be opened: the messages that explain failed connections and DNS queries are told"
                    .to_owned(),
            cure: None,
        },
        Err(why) => Finding {
            check,
            verdict: Verdict::Less,
            found: format!(
                "{why}: of connections that fail the errno is told, not the message that explains it; a DNS query to a closed port looks unanswered"
            ),
            cure: Some(format!(
                "sudo headwater up, or once and for all: {}",
                grant()
            )),
        },
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |source| source.source())
        .fold(error.to_string(), |words, source| {
            format!("{words}: {source}")
        })
}

/// What mends it that the probes could not be attached.
fn cure_of(error: &ProbeError) -> &'static str {
    match error {
        ProbeError::NoCgroup => MOUNT_CGROUP,
        ProbeError::Cgroup { .. } => "sudo headwater doctor",
        ProbeError::Load(_) | ProbeError::Program { .. } | ProbeError::Uprobe { .. } => {
            "sudo headwater up on the host where this is a container, whose rules seldom allow BPF; where \
             `cat /sys/kernel/security/lockdown` says [confidentiality], boot with lockdown=integrity"
        }
        ProbeError::Exclusive => {
            "sudo bpftool cgroup show $(findmnt -n -o TARGET -t cgroup2 | head -1), then sudo bpftool cgroup detach"
        }
        ProbeError::Missing { .. } => "kernel-probes/rebuild",
    }
}

/// What keeps this user from reading the store, and what mends it.
pub(super) fn trouble_with_store(db: Option<&Path>) -> Option<(String, String)> {
    let finding = store(db);
    finding.cure.map(|cure| (finding.found, cure))
}

fn store(db: Option<&Path>) -> Finding {
    let path = store_of(db);
    let check = "store";
    let folder = path.parent().unwrap_or(&path);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let status = runtime
        .map(|runtime| runtime.block_on(Store::new(&path).status(&CancellationToken::new())));
    let Ok(Ok(answer)) = status else {
        return Finding {
            check,
            verdict: Verdict::Less,
            found: format!("{} cannot be read", path.display()),
            cure: Some(
                "sudo usermod -aG \"$(sudo stat -c %G FOLDER)\" \"$USER\", with the store's folder, and log in again"
                    .replace("FOLDER", &folder.display().to_string()),
            ),
        };
    };
    let recorder = match answer.recorder {
        Recorder::Running => "a recorder is running",
        Recorder::Stopped { .. } => "the recorder has stopped",
        Recorder::Killed { .. } => "the recorder was killed",
        Recorder::Never => "no recorder has written it",
    };
    let verdict = if matches!(
        answer.value.state,
        StoreState::Readable | StoreState::Missing
    ) {
        Verdict::Good
    } else {
        Verdict::Less
    };
    Finding {
        check,
        verdict,
        found: format!("{}: {recorder}", path.display()),
        cure: answer.value.cure,
    }
}

fn in_words(findings: &[Finding], tiers: &[Tier], possible: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        let _ = writeln!(
            text,
            "{:<5} {:<19} {}",
            finding.verdict.word(),
            finding.check,
            finding.found
        );
        if let Some(cure) = &finding.cure {
            let _ = writeln!(text, "{:<5} {:<19} -> {cure}", "", "");
        }
    }
    text.push_str(&tiers::in_words(tiers));
    let _ = writeln!(
        text,
        "\nnot seen by this version: what TLS libraries other than OpenSSL, BoringSSL, GnuTLS, Go's and rustls encrypt, QUIC, UDP other than DNS, Unix sockets; bodies are never kept"
    );
    text.push_str(if possible {
        "recording is possible: sudo headwater up\n"
    } else {
        "recording is not possible here as it is\n"
    });
    text
}

fn in_json(findings: &[Finding], tiers: &[Tier], possible: bool) -> String {
    let checks: Vec<_> = findings
        .iter()
        .map(|finding| serde_json::json!({ "check": finding.check, "verdict": finding.verdict.word(), "found": finding.found, "cure": finding.cure }))
        .collect();
    let lacking = lacking_capabilities();
    let capabilities: Vec<_> = CAPABILITIES
        .iter()
        .map(|capability| {
            serde_json::json!({
                "name": capability.name, "held": !lacking.contains(capability), "needed": capability.is_needed,
                "without": capability.without,
            })
        })
        .collect();
    format!(
        "{:#}\n",
        serde_json::json!({ "recording_possible": possible, "checks": checks, "tiers": tiers::in_json(tiers), "capabilities": capabilities })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(finding: &Finding) {
        let mended = finding.verdict == Verdict::Good || finding.cure.is_some();
        assert!(mended, "{}: {}", finding.check, finding.found);
    }

    #[test]
    fn whatever_is_missing_comes_with_what_mends_it() {
        let mut findings = vec![kernel(), cgroup(), types(), capabilities(), icmp()];
        // Without touching the kernel, where another test may be looking.
        let (attached, links) = attach(&[Finding {
            check: "kernel",
            verdict: Verdict::Bad,
            found: String::new(),
            cure: None,
        }]);
        assert_eq!(links, Links::Unknown);
        findings.extend(attached);
        assert!(!cure_of(&ProbeError::NoCgroup).is_empty());
        assert!(!cure_of(&ProbeError::Exclusive).is_empty());
        let folder = std::env::temp_dir().join(format!("headwater-doctor-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        findings.push(store(Some(&folder.join("none.db"))));
        let other = folder.join("other.db");
        std::fs::write(&other, "no database").unwrap();
        findings.push(store(Some(&other)));
        findings.iter().for_each(check);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn json_tells_of_each_capability() {
        let told = in_json(&[capabilities()], &[], true);
        for capability in CAPABILITIES {
            assert!(
                told.contains(capability.name) && told.contains(capability.without),
                "{told}"
            );
        }
        assert!(told.contains("\"held\"") && told.contains("\"cure\""));
    }
}
