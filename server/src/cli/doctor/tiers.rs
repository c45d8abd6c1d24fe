//! What one may do with which privileges: from reading capture files, which needs none, to what is inside TLS.

use std::fmt::Write as _;

use rustix::thread::CapabilitySet;

use crate::{
    cli::privilege::{CAPABILITIES, Capability},
    probes::{Mappings, Uprobes},
    record::capabilities,
};

/// To find the libraries of other users' programs, and of programs in containers.
const TO_FIND_LIBRARIES: [&str; 3] = [
    "CAP_SYS_PTRACE",
    "CAP_DAC_READ_SEARCH",
    "CAP_CHECKPOINT_RESTORE",
];

/// How places in TLS libraries are attached to, as it was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// By links of many places.
    Multi,
    /// The same, on a kernel that asks CAP_SYS_ADMIN for the perf events by which libraries are met.
    MultiAndEvents,
    /// By a perf event for each.
    Perf,
    /// To none: this user may have no perf events.
    Unheard,
    /// Not known: nothing was attached.
    Unknown,
}

impl Links {
    /// Of programs that are loaded.
    pub(super) fn of(uprobes: Option<&Uprobes>) -> Self {
        let Some(uprobes) = uprobes else {
            return Self::Unknown;
        };
        if Mappings::listen().is_err() {
            Self::Unheard
        } else if !uprobes.is_multi() {
            Self::Perf
        } else if listens_without_sys_admin() {
            Self::Multi
        } else {
            Self::MultiAndEvents
        }
    }
}

/// Tried by a thread without it.
fn listens_without_sys_admin() -> bool {
    let thread = std::thread::spawn(|| {
        capabilities::keep(CapabilitySet::all().difference(CapabilitySet::SYS_ADMIN));
        Mappings::listen().is_ok()
    });
    thread.join().unwrap_or(false)
}

/// What one may do with which privileges.
pub(super) struct Tier {
    name: &'static str,
    /// Capabilities without which it is not possible.
    needs: Vec<&'static str>,
    /// Those without which it sees less.
    wants: Vec<&'static str>,
    /// Of these, what this user lacks.
    lacks: Vec<&'static str>,
    /// What else there is to say of them.
    note: &'static str,
}

/// From the one that needs nothing to the one that needs most.
pub(super) fn of(links: Links, lacking: &[Capability]) -> [Tier; 3] {
    let needed: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|capability| capability.is_needed)
        .map(|capability| capability.name)
        .collect();
    let tier = |name, needs: Vec<&'static str>, wants: Vec<&'static str>, note| Tier {
        name,
        lacks: needs
            .iter()
            .chain(&wants)
            .copied()
            .filter(|name| lacking.iter().any(|capability| capability.name == *name))
            .collect(),
        needs,
        wants,
        note,
    };
    let note = match links {
        Links::Multi => {
            "CAP_SYS_ADMIN is not asked for here: the kernel has links of many places (for --tls-program from Linux 6.10 on)"
        }
        Links::MultiAndEvents | Links::Unheard => {
            "this kernel asks CAP_SYS_ADMIN for perf events (kernel.perf_event_paranoid)"
        }
        Links::Perf => {
            "hardened kernels ask CAP_SYS_ADMIN for each place's perf event; Linux 6.6 and later, with links of many places, do not"
        }
        Links::Unknown => {
            "before Linux 6.6 hardened kernels ask CAP_SYS_ADMIN too, for each place's perf event"
        }
    };
    let more = (!matches!(links, Links::Multi | Links::Unknown)).then_some("CAP_SYS_ADMIN");
    let wants = TO_FIND_LIBRARIES.iter().copied().chain(more).collect();
    [
        tier(
            "replay",
            Vec::new(),
            Vec::new(),
            "capture files, questions and MCP",
        ),
        tier(
            "packets",
            needed.clone(),
            Vec::new(),
            "what crosses sockets",
        ),
        tier("TLS", needed, wants, note),
    ]
}

/// A line for each.
pub(super) fn in_words(tiers: &[Tier]) -> String {
    let mut text = "\nwhat needs which privileges:\n".to_owned();
    for tier in tiers {
        let mut needs = tier.needs.join(", ");
        if !tier.wants.is_empty() {
            needs = format!("{needs}; for programs of others {}", tier.wants.join(", "));
        }
        let _ = if tier.needs.is_empty() {
            writeln!(text, "  {:<8} none ({})", tier.name, tier.note)
        } else if tier.lacks.is_empty() {
            writeln!(
                text,
                "  {:<8} {needs} ({}): this user has them",
                tier.name, tier.note
            )
        } else {
            let lacks = tier.lacks.join(", ");
            writeln!(
                text,
                "  {:<8} {needs} ({}): this user lacks {lacks}",
                tier.name, tier.note
            )
        };
    }
    text
}

/// The same as JSON: an array of objects.
pub(super) fn in_json(tiers: &[Tier]) -> serde_json::Value {
    tiers
        .iter()
        .map(|tier| {
            serde_json::json!({
                "tier": tier.name, "needs": tier.needs, "wants": tier.wants, "lacks": tier.lacks, "note": tier.note,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tier_needs_what_the_one_before_does_and_more() {
        for (links, is_asked_for) in [
            (Links::Multi, false),
            (Links::MultiAndEvents, true),
            (Links::Perf, true),
            (Links::Unheard, true),
            (Links::Unknown, false),
        ] {
            let [replay, packets, tls] = of(links, &CAPABILITIES);
            assert!(replay.needs.is_empty() && replay.lacks.is_empty());
            assert_eq!(packets.needs, ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]);
            assert_eq!(packets.lacks, packets.needs);
            assert_eq!(tls.needs, packets.needs);
            assert_eq!(tls.wants.contains(&"CAP_SYS_ADMIN"), is_asked_for);
            assert_eq!(tls.lacks.len(), tls.needs.len() + tls.wants.len());
        }
        for name in TO_FIND_LIBRARIES {
            assert!(CAPABILITIES.iter().any(|known| known.name == name));
        }
        let all = of(Links::Multi, &[]);
        assert!(all.iter().all(|tier| tier.lacks.is_empty()));
        let told = in_words(&all);
        assert!(
            told.contains("CAP_SYS_ADMIN is not asked for here"),
            "{told}"
        );
        assert_eq!(told.matches("this user has them").count(), 2, "{told}");
        let lacking = in_words(&of(Links::Multi, &CAPABILITIES));
        assert!(lacking.contains("this user lacks CAP_BPF"), "{lacking}");
    }
}
