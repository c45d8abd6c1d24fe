//! `doctor`: what this kernel and this user can do, what will be missing and why, and the command that mends it.

use std::{fmt::Write as _, path::Path};

use clap::Args;
use headwater_query::{Recorder, Store, StoreState};
use tokio_util::sync::CancellationToken;

use super::{Exit, output::answer, privilege::missing_capabilities};
use crate::{
    paths::store_of,
    probes::{Btf, Offsets, ProbeSettings, Probes, cgroup_mount},
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
    findings.push(attach(&findings));
    findings.push(store(db));
    let possible = findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Bad);
    answer(&if arguments.json {
        in_json(&findings, possible)
    } else {
        in_words(&findings, possible)
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
    let (verdict, cure) = if version >= (5, 8) {
        (Verdict::Good, None)
    } else {
        (
            Verdict::Bad,
            Some(
                "boot Linux 5.8 or later; until then, `headwater replay` reads capture files here"
                    .to_owned(),
            ),
        )
    };
    Finding {
        check: "kernel",
        verdict,
        found: format!("Linux {release}; 5.8 is the oldest with a BPF ring buffer"),
        cure,
    }
}

fn cgroup() -> Finding {
    match cgroup_mount() {
        Some(path) => Finding { check: "cgroup v2", verdict: Verdict::Good, found: format!("mounted at {}", path.display()), cure: None },
        None => Finding {
            check: "cgroup v2",
            verdict: Verdict::Bad,
            found: "not mounted".to_owned(),
            cure: Some("sudo mkdir -p /sys/fs/cgroup/unified && sudo mount -t cgroup2 none /sys/fs/cgroup/unified".to_owned()),
        },
    }
}

fn types() -> Finding {
    if Btf::of_kernel().is_none() {
        return Finding {
            check: "kernel types (BTF)",
            verdict: Verdict::Less,
            found: "none at /sys/kernel/btf/vmlinux: owners of sockets are strong evidence, not certain, and before Linux 6.10 only those that listen are known; network namespaces, exits and command lines of short-lived programs are not told".to_owned(),
            cure: Some("boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (distributions' kernels since 2020 are)".to_owned()),
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
        cure: None,
    }
}

fn capabilities() -> Finding {
    let missing = missing_capabilities();
    if missing.is_empty() {
        return Finding {
            check: "privileges",
            verdict: Verdict::Good,
            found: "this user may record".to_owned(),
            cure: None,
        };
    }
    Finding {
        check: "privileges",
        verdict: Verdict::Bad,
        found: format!(
            "this user lacks {}; reading, replay and MCP need none",
            missing.join(", ")
        ),
        cure: Some("sudo headwater up".to_owned()),
    }
}

fn attach(before: &[Finding]) -> Finding {
    let check = "probes";
    if before.iter().any(|finding| finding.verdict == Verdict::Bad) {
        return Finding {
            check,
            verdict: Verdict::Bad,
            found: "not tried, for the reasons above".to_owned(),
            cure: None,
        };
    }
    match Probes::attach(&ProbeSettings {
        cap: 8192,
        ring_bytes: 1 << 20,
        without_btf: false,
    }) {
        Ok(probes) if probes.missing.is_empty() => Finding {
            check,
            verdict: Verdict::Good,
            found: "attached, and detached again".to_owned(),
            cure: None,
        },
        Ok(probes) => Finding {
            check,
            verdict: Verdict::Less,
            found: format!("attached; not seen: {}", probes.missing.join("; ")),
            cure: None,
        },
        Err(error) => Finding {
            check,
            verdict: Verdict::Bad,
            found: error.to_string(),
            cure: None,
        },
    }
}

fn store(db: Option<&Path>) -> Finding {
    let path = store_of(db);
    let check = "store";
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
            cure: None,
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

fn in_words(findings: &[Finding], possible: bool) -> String {
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
    let _ = writeln!(
        text,
        "\nnot seen by this version: inside TLS, WebSocket, UDP, Unix sockets; bodies are never kept"
    );
    text.push_str(if possible {
        "recording is possible: sudo headwater up\n"
    } else {
        "recording is not possible here as it is\n"
    });
    text
}

fn in_json(findings: &[Finding], possible: bool) -> String {
    let checks: Vec<_> = findings
        .iter()
        .map(|finding| serde_json::json!({ "check": finding.check, "verdict": finding.verdict.word(), "found": finding.found, "cure": finding.cure }))
        .collect();
    format!(
        "{:#}\n",
        serde_json::json!({ "recording_possible": possible, "checks": checks })
    )
}
