//! The verdict of `explain_failure`, in words made by Headwater.

use super::explain::{is_lesser, is_weak};
use super::findings::Finding;
use super::node::{Node, OPEN};
use super::{Hop, TOGETHER, Traced};

/// Where it failed first, or where the time went.
pub(super) fn verdict(
    traced: &Traced,
    chain: &[&Node],
    hops: &[Hop],
    findings: &[Finding],
) -> String {
    let [symptom, ..] = chain else {
        return String::new();
    };
    let above = chain
        .len()
        .checked_sub(2)
        .and_then(|above| chain.get(above));
    let suspect = chain.last().unwrap_or(symptom);
    let causes = findings
        .iter()
        .filter(|finding| finding.is == "cause")
        .count();
    let below = match causes {
        0 => String::new(),
        1 => " One thing is known below it that may well be the cause: see findings.".to_owned(),
        many => {
            format!(" {many} things are known below it that may well be the cause: see findings.")
        }
    };
    let has = |is: &str| findings.iter().any(|finding| finding.is == is);
    let below = match (has("common"), has("changed")) {
        (true, _) => format!(
            "{below} Those that went like it have something in common that good ones have not: see findings."
        ),
        (false, true) => format!("{below} Something changed before it: see findings."),
        (false, false) => below,
    };
    let is_together = |hop: &Hop| {
        let link = hop.link.as_ref();
        link.is_some_and(|link| link.evidence == TOGETHER)
    };
    let (perhaps, weakly) = if hops.iter().any(is_together) {
        (
            "Most likely it",
            " or in another call like it, which failed when what is above did, and not when that did not",
        )
    } else if hops.iter().any(is_weak) {
        ("Perhaps it", ", by a weak link, which may be chance")
    } else if is_lesser(symptom, suspect) {
        (
            "Perhaps it",
            ", which failed less badly and may have been in order",
        )
    } else {
        ("It", "")
    };
    if matches!(symptom.status, Some(300..=399)) && suspect.id != symptom.id {
        return format!(
            "Nothing failed. The answer, a redirection, came from the suspect{weakly}.{below}"
        );
    }
    if !symptom.has_failed() {
        return of_time(traced, symptom, suspect, weakly, &below);
    }
    let is_later = above.is_some_and(|above| suspect.end_ns > above.end_ns);
    if suspect.status.is_none() && (suspect.outcome == OPEN || is_later) {
        return format!(
            "What is above waited for the suspect{weakly}, which had given no answer when that was over.{below}"
        );
    }
    if suspect.id == symptom.id {
        let has_failed = traced
            .caused(suspect.id)
            .iter()
            .any(|node| node.has_failed());
        let may_have_failed = || {
            let perhaps = traced.perhaps_caused(suspect);
            perhaps.iter().any(|node| node.has_failed())
        };
        let called = if has_failed {
            "what the suspect called meanwhile failed too, but later or less badly: see findings"
        } else if may_have_failed() {
            "some of what its process called meanwhile, for this or for others, failed, and which is its own is not known: see findings"
        } else {
            "nothing that the suspect called meanwhile is known to have failed"
        };
        return format!(
            "It failed at this hop first, as far as it could be seen: {called}.{below}"
        );
    }
    let hops = match hops.len().saturating_sub(1) {
        1 => "one hop".to_owned(),
        many => format!("{many} hops"),
    };
    format!(
        "{perhaps} failed {hops} below first, at the suspect{weakly}; what is above it failed after that.{below}"
    )
}

/// Of what did not fail.
fn of_time(traced: &Traced, symptom: &Node, suspect: &Node, weakly: &str, below: &str) -> String {
    let part = if suspect.id == symptom.id {
        let perhaps = match traced.perhaps_caused(suspect).len() {
            0 => String::new(),
            many => format!(
                ", or in some of {many} exchanges that its process had under way and that may be its own"
            ),
        };
        format!(
            "it was spent in the suspect service itself, or in what it did that could not be seen{perhaps}"
        )
    } else {
        format!("most of it was spent at the suspect, below{weakly}")
    };
    let failed = match (symptom.outcome, symptom.status) {
        (OPEN, None) => "It has no answer yet",
        _ => "Nothing failed",
    };
    format!("{failed}. Of its time {part}.{below}")
}

/// Of what is as ever.
pub(super) const USUAL: &str = "Nothing failed, and others of its service, route and method took as long about then: if all of them are slow, compare tells \
    since when.";
