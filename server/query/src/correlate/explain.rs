//! `explain_failure`: from a symptom to the deepest hop that failed, and what is known below it.
//!
//! Owns: the choice of the suspect, and the verdict. What is known around it is in `findings`; the words are Headwater's,
//! captured text stands apart.

use std::collections::BTreeSet;
use std::path::Path;

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::recorder::{Runs, everything};
use crate::snapshot::Snapshot;
use crate::{Answer, QueryError, segments};

use super::findings::{Finding, around, words_of};
use super::node::Node;
use super::{Confidence, Hop, Traced, tree};

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// What was asked about, in words made by Headwater.
    pub symptom: String,
    /// Where it failed first, in words made by Headwater.
    pub verdict: String,
    /// Printable id of the exchange that failed first, or took the time.
    pub suspect: Option<String>,
    /// Service that answered it. Untrusted.
    pub suspect_service: Option<String>,
    /// From the symptom down to the suspect.
    pub chain: Vec<Hop>,
    /// What is known of the suspect.
    pub findings: Vec<Finding>,
}

/// Answers the question.
pub(crate) async fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    id: &str,
) -> Result<Answer<Failure>, QueryError> {
    let runs = Runs::load(snapshot).await?;
    let segments = segments::all(snapshot).await?;
    let traced = Traced::trace(snapshot, &segments, store, id).await?;
    let Some(symptom) = symptom(&traced) else {
        let window = everything(snapshot, &runs).await?;
        return Framed {
            about: About::Http,
            value: Failure::default(),
            empty: true,
            window,
            next_cursor: None,
            remarks: traced.remarks(window),
        }
        .finish(snapshot, &runs, &segments)
        .await;
    };
    let chain = chain(&traced, symptom);
    let suspect = chain.last().copied().unwrap_or(symptom);
    let hops = tree::path(snapshot, &traced, &chain).await?;
    let mut findings = Vec::new();
    around(snapshot, &segments, &traced, suspect, &mut findings).await?;
    let window = Window {
        since_ns: symptom.start_ns,
        until_ns: symptom.end_ns.min(snapshot.now_ns).max(symptom.start_ns),
    };
    let value = Failure {
        symptom: words_of(symptom, snapshot.now_ns),
        verdict: verdict(&traced, (symptom, suspect), &hops, &findings),
        suspect: hops.last().map(|hop| hop.id.clone()),
        suspect_service: hops.last().map(|hop| hop.server.clone()),
        chain: hops,
        findings,
    };
    Framed {
        about: About::Http,
        value,
        empty: false,
        window,
        next_cursor: None,
        remarks: traced.remarks(window),
    }
    .finish(snapshot, &runs, &segments)
    .await
}

/// Of what was named the newest that failed, or the newest.
fn symptom(traced: &Traced) -> Option<&Node> {
    let named = || {
        let ids = traced.gathered.named.iter();
        ids.filter_map(|id| traced.gathered.nodes.get(id))
    };
    // Of one transaction the outermost: what it caused is found from there.
    let newest = |nodes: Vec<&'_ Node>| {
        nodes
            .into_iter()
            .max_by_key(|node| (node.start_ns, node.id))
            .map(|node| node.id)
    };
    let failed: Vec<&Node> = named().filter(|node| node.has_failed()).collect();
    let tops: Vec<&Node> = failed
        .iter()
        .filter(|node| {
            let cause = traced.cause(node.id);
            !cause.is_some_and(|cause| failed.iter().any(|other| other.id == cause))
        })
        .copied()
        .collect();
    let id = newest(tops).or_else(|| newest(named().collect()))?;
    traced.gathered.nodes.get(&id)
}

/// From the symptom to the deepest that failed; where nothing failed, to the one that took the time.
fn chain<'t>(traced: &'t Traced, symptom: &'t Node) -> Vec<&'t Node> {
    let mut chain = vec![symptom];
    let mut seen = BTreeSet::from([symptom.id]);
    while let Some(last) = chain.last().copied() {
        let caused = traced.caused(last.id);
        let next = if symptom.has_failed() {
            // As bad as the symptom: a 404 below a 502 may well be in order. Of several the last: an answer waits for it.
            let failed = caused
                .into_iter()
                .filter(|node| node.severity() >= symptom.severity().max(1))
                // What failed later explains nothing.
                .filter(|node| node.end_ns <= last.end_ns);
            failed.max_by_key(|node| (node.severity(), node.end_ns, node.id))
        } else {
            // While most of its time is spent below.
            let slowest = caused.into_iter().max_by_key(|node| node.lasted_ns());
            slowest.filter(|node| node.lasted_ns().saturating_mul(2) > last.lasted_ns())
        };
        match next {
            Some(next) if seen.insert(next.id) => chain.push(next),
            _ => return chain,
        }
    }
    chain
}

fn verdict(
    traced: &Traced,
    (symptom, suspect): (&Node, &Node),
    hops: &[Hop],
    findings: &[Finding],
) -> String {
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
    let is_weak = |hop: &Hop| {
        let confidence = hop.link.as_ref().map(|link| link.confidence);
        confidence == Some(Confidence::Weak)
    };
    let (perhaps, weakly) = if hops.iter().any(is_weak) {
        ("Perhaps it", ", by a weak link, which may be chance")
    } else {
        ("It", "")
    };
    if !symptom.has_failed() {
        let part = if suspect.id == symptom.id {
            "it was spent in the suspect service itself, or in what it did that could not be seen"
                .to_owned()
        } else {
            format!("most of it was spent at the suspect, below{weakly}")
        };
        return format!("Nothing failed. Of its time {part}.{below}");
    }
    if suspect.id == symptom.id {
        let has_failed = traced
            .caused(suspect.id)
            .iter()
            .any(|node| node.has_failed());
        let called = if has_failed {
            "what the suspect called meanwhile failed too, but later or less badly: see findings"
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
