//! `explain_failure`: from a symptom to the deepest hop that failed, and what is known below it.
//!
//! Owns: the choice of the suspect. What is known around it is in `findings`, the verdict in `verdict`; the words are Headwater's,
//! captured text stands apart.

use std::collections::BTreeSet;
use std::path::Path;

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::recorder::{Runs, everything};
use crate::segments::Segment;
use crate::snapshot::Snapshot;
use crate::{Answer, QueryError, outcome, segments};

use super::findings::{Finding, around, words_of};
use super::group;
use super::node::{Node, OPEN};
use super::peers::{self, Common, Peers};
use super::verdict::{USUAL, verdict};
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

/// Where a failure came from, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// How many hops below: 0 where it failed itself first, as far as it could be seen.
    pub hops: usize,
    /// A link on the way may be chance, or what failed below did so less badly.
    pub is_weak: bool,
    /// Printable id of the exchange that failed first.
    pub id: String,
    /// Service that answered it, and its method and path. Untrusted.
    pub what: String,
    /// How that failed, as a kind of `find_errors`, or its outcome where that is none.
    pub kind: String,
    /// Where, to be compared with others.
    pub(crate) place: SuspectPlace,
}

/// Service, route and kind of failure, and whether it is the symptom itself.
pub(crate) type SuspectPlace = (i64, i64, Option<i64>, bool);

/// The suspect of one exchange, by its printable id.
pub(crate) fn suspect(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    store: &Path,
    id: &str,
) -> Result<Option<Suspect>, QueryError> {
    let mut traced = Traced::trace(snapshot, segments, store, id)?;
    follow(snapshot, segments, &mut traced, Want::Chain)?;
    let Some(symptom) = symptom(&traced).cloned() else {
        return Ok(None);
    };
    let symptom = &symptom;
    go_on_by_what_fails_together(snapshot, segments, &mut traced, symptom, Want::Chain)?;
    let chain = chain(&traced, symptom);
    let hops = tree::path(snapshot, &traced, &chain)?;
    let (Some(last), Some(node)) = (hops.last(), chain.last()) else {
        return Ok(None);
    };
    let words = [
        Some(last.server.as_str()),
        last.method.as_deref(),
        last.path.as_deref(),
    ];
    Ok(Some(Suspect {
        hops: hops.len() - 1,
        is_weak: hops.iter().any(is_weak) || is_lesser(symptom, node),
        id: last.id.clone(),
        what: words.into_iter().flatten().collect::<Vec<_>>().join(" "),
        place: (
            node.server.service,
            node.route,
            node.error_kind,
            hops.len() == 1,
        ),
        kind: match node.error_kind {
            Some(kind) => outcome::failure(kind),
            None if symptom.has_failed() => outcome::name(node.outcome).to_owned(),
            None => outcome::failure(outcome::SLOW),
        },
    }))
}

/// What a chain is followed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// The chain alone.
    Chain,
    /// And all that the processes at its end did meanwhile.
    Surroundings,
}

/// Answers the question.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    id: &str,
) -> Result<Answer<Failure>, QueryError> {
    let runs = Runs::load(snapshot)?;
    let segments = segments::all(snapshot)?;
    let group = group::named(snapshot, &runs, &segments, store, id)?;
    let id = group.as_ref().map_or(id, |group| &group.example);
    let mut traced = Traced::trace(snapshot, &segments, store, id)?;
    follow(snapshot, &segments, &mut traced, Want::Surroundings)?;
    let Some(symptom) = symptom(&traced).cloned() else {
        let window = everything(snapshot, &runs)?;
        return Framed {
            about: About::Http,
            value: Failure::default(),
            empty: true,
            window,
            next_cursor: None,
            remarks: traced.remarks(window),
        }
        .finish(snapshot, &runs, &segments);
    };
    let symptom = &symptom;
    let want = Want::Surroundings;
    let common = go_on_by_what_fails_together(snapshot, &segments, &mut traced, symptom, want)?;
    let chain = chain(&traced, symptom);
    let suspect = chain.last().copied().unwrap_or(symptom);
    let hops = tree::path(snapshot, &traced, &chain)?;
    let mut findings = Vec::new();
    let peers = Peers::find(snapshot, &segments, symptom)?;
    let slowness = (!symptom.has_failed()).then(|| peers.slowness(symptom, snapshot.now_ns));
    let is_answered = symptom.outcome != OPEN && !matches!(symptom.status, Some(300..=399));
    let is_usual =
        is_answered && matches!(&slowness, Some(Some(finding)) if finding.is == "ruled_out");
    findings.extend(slowness.flatten());
    findings.extend(peers.impatience(symptom));
    let (calls_differ, is_too_much) = (common.calls_differ, common.is_too_much);
    if !is_usual {
        findings.extend(common.findings);
        if suspect.id != symptom.id {
            where_it_was_asked_for(snapshot, &segments, symptom, &peers, &mut findings)?;
        }
    }
    around(snapshot, &segments, &traced, suspect, &mut findings)?;
    findings.extend(group.and_then(|group| group.agreement));
    if is_too_much {
        findings.push(Finding {
            is: "not_seen",
            after_ns: None,
            what: "so much happened about then that what servers did meanwhile was not compared with that of good exchanges".to_owned(),
            id: None,
            captured: None,
        });
    }
    if calls_differ {
        // What it called is not out of the question.
        findings.retain(|finding| finding.is != "ruled_out" || finding.id.is_none());
    }
    findings.sort_by_key(|finding| ORDER.iter().position(|is| *is == finding.is));
    let window = Window {
        since_ns: symptom.start_ns,
        until_ns: symptom.end_ns.min(snapshot.now_ns).max(symptom.start_ns),
    };
    let value = Failure {
        symptom: words_of(symptom, snapshot.now_ns),
        verdict: if is_usual {
            USUAL.to_owned()
        } else {
            verdict(&traced, &chain, &hops, &findings)
        },
        suspect: hops.last().filter(|_| !is_usual).map(|hop| hop.id.clone()),
        suspect_service: hops
            .last()
            .filter(|_| !is_usual)
            .map(|hop| hop.server.clone()),
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
}

fn whose(node: &Node) -> &'static str {
    if node.has_failed() {
        "that failed like it"
    } else {
        "that were as slow"
    }
}

/// What the failed of the suspect's place have in common. Where that is a failure of something that its process called
/// meanwhile, of which nothing but that says that it is its own, the chain goes on there.
fn go_on_by_what_fails_together(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    traced: &mut Traced,
    symptom: &Node,
    want: Want,
) -> Result<Common, QueryError> {
    for jump in 0..=MOST_JUMPS {
        let chain = chain(traced, symptom);
        let suspect = chain.last().copied().unwrap_or(symptom);
        let others = traced.perhaps_caused(suspect);
        // For the chain alone it is looked at only where there is something to go on to.
        if want == Want::Chain && !others.iter().any(|other| other.has_failed()) {
            break;
        }
        let words = if suspect.id == symptom.id {
            whose(suspect).to_owned()
        } else {
            format!("{}, at the suspect,", whose(suspect))
        };
        let peers = Peers::find(snapshot, segments, suspect)?;
        let common = peers.in_common(snapshot, segments, &words, peers::Want::Meanwhile)?;
        let above = suspect.id;
        let below = common
            .failed_call
            .filter(|_| jump < MOST_JUMPS)
            .filter(|call| chain.iter().all(|hop| hop.id != *call))
            .filter(|call| others.iter().any(|other| other.id == *call));
        let Some(below) = below else {
            return Ok(common);
        };
        traced.chosen.insert(above, below);
        follow(snapshot, segments, traced, want)?;
    }
    Ok(Common::default())
}

/// What the failed have in common at the symptom, besides what is known of the suspect.
fn where_it_was_asked_for(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    symptom: &Node,
    peers: &Peers,
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let words = format!("{}, where it was asked for,", whose(symptom));
    let more = peers.in_common(snapshot, segments, &words, peers::Want::Fields)?;
    let told: BTreeSet<_> = findings
        .iter()
        .filter_map(|finding| finding.captured.clone())
        .collect();
    let is_new = |finding: &Finding| {
        finding
            .captured
            .as_ref()
            .is_none_or(|captured| !told.contains(captured))
    };
    findings.extend(more.findings.into_iter().filter(is_new));
    Ok(())
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

/// Follows the chain to where it ends: what may have been caused by another as well is looked around only when it is come to.
fn follow(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    traced: &mut Traced,
    want: Want,
) -> Result<(), QueryError> {
    let mut looked = BTreeSet::new();
    for _ in 0..MOST_FOLLOWED {
        let end =
            symptom(traced).and_then(|symptom| chain(traced, symptom).last().map(|node| node.id));
        let Some(end) = end else {
            return Ok(());
        };
        let is_related = traced.gathered.related.contains(&end);
        let is_over = is_related
            && (!looked.insert(end)
                || want == Want::Chain && !traced.asks(snapshot, segments, end)?
                || !traced.look_around(snapshot, segments, end)?);
        if is_over {
            return Ok(());
        }
        if !is_related {
            traced.follow(snapshot, segments, end)?;
        }
    }
    Ok(())
}

/// From the symptom to the deepest that failed; where nothing failed, to the one that took the time.
fn chain<'t>(traced: &'t Traced, symptom: &'t Node) -> Vec<&'t Node> {
    let mut chain = vec![symptom];
    let mut seen = BTreeSet::from([symptom.id]);
    while let Some(last) = chain.last().copied() {
        let next = next(traced, symptom, last);
        match next {
            Some(next) if seen.insert(next.id) => chain.push(next),
            _ => return chain,
        }
    }
    chain
}

/// The hop below that explains a hop best.
fn next<'t>(traced: &'t Traced, symptom: &Node, last: &Node) -> Option<&'t Node> {
    let chosen = traced.chosen.get(&last.id);
    if let Some(chosen) = chosen.and_then(|id| traced.gathered.nodes.get(id)) {
        return Some(chosen);
    }
    let kinds: &[Wanted] = match symptom.status {
        _ if symptom.has_failed() => &[
            Wanted::FailedAsBadly,
            Wanted::NotAnswered,
            Wanted::RefusedLast,
        ],
        // Whoever made the answer.
        Some(300..=399) => &[Wanted::SameStatus],
        _ => &[Wanted::Slow],
    };
    // What is this hop's own goes before what may be another's, of which all that fit have to be of one service.
    for (all, is_own) in [
        (traced.caused(last.id), true),
        (traced.perhaps_caused(last), false),
    ] {
        for wanted in kinds {
            let fitting = all.iter().copied();
            let fitting: Vec<&Node> = fitting
                .filter(|node| wanted.fits(node, symptom, last, &all))
                .collect();
            if !is_own && !is_one_service(&fitting) {
                continue;
            }
            // Of several the last: an answer waits for it.
            let best = match wanted {
                Wanted::Slow => fitting
                    .into_iter()
                    .max_by_key(|node| (node.lasted_ns(), node.id)),
                _ => fitting
                    .into_iter()
                    .max_by_key(|node| (node.severity(), node.end_ns, node.id)),
            };
            if best.is_some() {
                return best;
            }
        }
    }
    None
}

/// What a hop below must be to explain the one above it.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    /// As bad as the symptom: a 404 below a 502 may well be in order. What failed later explains nothing.
    FailedAsBadly,
    /// It went on when the one above was over: that one waited for it.
    NotAnswered,
    /// It was told that the fault is its own, and nothing was asked for after that.
    RefusedLast,
    SameStatus,
    /// Most of the time is spent there.
    Slow,
}

impl Wanted {
    fn fits(self, node: &Node, symptom: &Node, last: &Node, all: &[&Node]) -> bool {
        match self {
            Self::FailedAsBadly => {
                node.severity() >= symptom.severity().max(1) && node.end_ns <= last.end_ns
            }
            Self::NotAnswered => {
                let is_longer = node.end_ns > last.end_ns || node.outcome == OPEN;
                is_longer && node.status.is_none() && symptom.severity() > 1
            }
            // Which may have been in order.
            Self::RefusedLast => {
                node.severity() == 1
                    && node.end_ns <= last.end_ns
                    && all.iter().all(|other| other.start_ns <= node.start_ns)
            }
            Self::SameStatus => node.status == symptom.status && node.end_ns <= last.end_ns,
            Self::Slow => node.lasted_ns().saturating_mul(2) > last.lasted_ns(),
        }
    }
}

/// Whether all of them are of one service: whichever it is, it went the same way.
fn is_one_service(nodes: &[&Node]) -> bool {
    let services = nodes.iter().map(|node| node.server.service);
    services
        .clone()
        .zip(services.skip(1))
        .all(|(one, other)| one == other)
}

/// Whether a failure is less bad than the one that it is to explain: a refusal below an error.
pub(super) fn is_lesser(symptom: &Node, suspect: &Node) -> bool {
    suspect.has_failed() && suspect.severity() < symptom.severity()
}

pub(super) fn is_weak(hop: &Hop) -> bool {
    let confidence = hop.link.as_ref().map(|link| link.confidence);
    confidence == Some(Confidence::Weak)
}

/// Of findings: what helps most comes first, and is the last to give way.
const ORDER: [&str; 9] = [
    "cause",
    "same_id",
    "common",
    "changed",
    "retries",
    "slow",
    "known",
    "ruled_out",
    "not_seen",
];
/// How often a chain goes on by what fails together.
const MOST_JUMPS: usize = 2;
/// Hops of a chain that are followed one by one.
const MOST_FOLLOWED: usize = 12;
