//! Who caused whom, and what says so.
//!
//! Owns: the rules. Each exchange has one cause at most: of those that may have caused it, the one for which the best
//! evidence speaks; where it speaks for several alike they are told as alternatives, and the link is weak.
//!
//! The thread is evidence where one thread does one thing at a time. A thread that answered two exchanges which overlap is
//! an event loop's, or one that tasks are moved between, and says nothing. Where several exchanges were under way, it is strong
//! only if all that the process sent then fits: each request sent by the thread that answered one of them, and one alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Confidence;
use super::gather::{Gathered, Shared, Worker, is_threaded};
use super::node::{Hash, Node};

/// A link to a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// `None` where time alone speaks for several.
    pub(super) cause: Option<i64>,
    pub(super) evidence: &'static str,
    pub(super) confidence: Confidence,
    /// The value that both share, when it is one.
    pub(super) shared: Option<Shared>,
    /// Of all that may be the cause it alone shares it.
    pub(super) is_only: bool,
    pub(super) alternatives: Vec<i64>,
}

/// Of each exchange that has a cause, the link to it.
pub(super) fn link(gathered: &Gathered) -> BTreeMap<i64, Found> {
    let busy = gathered.busy_threads();
    let processes: BTreeSet<i64> = gathered
        .nodes
        .values()
        .filter_map(|node| node.server.process)
        .collect();
    let steady: BTreeSet<i64> = processes
        .into_iter()
        .filter(|process| gathered.is_thread_per_request(*process, &busy))
        .collect();
    let mut linked = BTreeMap::new();
    for node in gathered.nodes.values() {
        let causes: Vec<&Node> = gathered
            .nodes
            .values()
            .filter(|cause| cause.may_cause(node))
            .collect();
        // The very process, where it is known; else whatever goes by its name.
        let exact = only(&causes, |cause| cause.server.is_process(node.client));
        let causes = if exact.is_empty() { causes } else { exact };
        if let Some(found) = best(gathered, (&busy, &steady), node, &causes) {
            linked.insert(node.id, found);
        }
    }
    linked
}

fn best(
    gathered: &Gathered,
    (busy, steady): (&BTreeSet<Worker>, &BTreeSet<i64>),
    node: &Node,
    causes: &[&Node],
) -> Option<Found> {
    if causes.is_empty() {
        return None;
    }
    let by_thread = |cause: &Node| {
        let process = cause.server.process;
        is_threaded(cause, node, busy)
            && process.is_some_and(|process| gathered.has_seen(process, cause, node))
    };
    // Of several under way it tells one only where each has a thread of its own.
    let by_own_thread = |cause: &Node| {
        by_thread(cause)
            && cause
                .server
                .process
                .is_some_and(|process| steady.contains(&process))
    };
    let by_span = |cause: &Node| {
        let has = |spans: &[Hash]| spans.iter().any(|span| cause.spans.contains(span));
        // The caller's own span, or one that was handed on as it came.
        cause.shares_trace(node) && (has(&node.parents) || has(&node.spans))
    };
    let spans = only(causes, by_span);
    if !spans.is_empty() {
        let chosen = Chosen::of(&spans, node, by_own_thread);
        return Some(chosen.found("span", Confidence::Certain, None));
    }
    // Where others may be missing, one that is alone is not the only one.
    let at_most = |sure: Confidence| {
        if gathered.is_incomplete {
            Confidence::Weak
        } else {
            sure
        }
    };
    let traces = only(causes, |cause| cause.shares_trace(node));
    if !traces.is_empty() {
        let chosen = Chosen::of(&traces, node, by_own_thread);
        return Some(chosen.found("trace", at_most(Confidence::Certain), None));
    }
    // What one candidate shares with it and no other.
    let mut counts: HashMap<Hash, usize> = HashMap::new();
    for cause in causes {
        for shared in gathered.shared(cause, node) {
            *counts.entry(shared.hash).or_default() += 1;
        }
    }
    if let Some(rarest) = counts.values().copied().min() {
        let is_rarest = |shared: &Shared| counts.get(&shared.hash) == Some(&rarest);
        let alike = only(causes, |cause| {
            gathered
                .shared(cause, node)
                .any(|shared| is_rarest(&shared))
        });
        let chosen = Chosen::of(&alike, node, by_own_thread);
        let shared = chosen.causes.first().and_then(|cause| {
            let shared = gathered.shared(cause, node).filter(is_rarest);
            shared.max_by_key(|shared| shared.length)
        });
        let is_long = shared.is_some_and(|shared| shared.length >= UNIQUE_BYTES);
        let mut found = chosen.found("id", at_most(Confidence::Strong), shared);
        found.is_only = rarest == 1 && alike.len() == 1 && !gathered.is_incomplete;
        if !is_long && causes.len() > 1 {
            // A word that others might have sent as well.
            let others = causes.iter().map(|cause| cause.id);
            let others = others.filter(|id| Some(*id) != found.cause);
            found.alternatives = others.take(MOST_ALTERNATIVES).collect();
        }
        if !is_long {
            found.confidence = Confidence::Weak;
        }
        return Some(found);
    }
    let processes = only(causes, |cause| cause.server.is_process(node.client));
    let threads = only(&processes, by_thread);
    if let [one] = threads[..] {
        let mut found =
            Chosen::of(&threads, node, by_thread).found("thread", Confidence::Strong, None);
        let is_sure = processes.len() == 1 || by_own_thread(one);
        if !is_sure {
            let others = processes.iter().map(|cause| cause.id);
            let others = others.filter(|id| *id != one.id);
            found.alternatives = others.take(MOST_ALTERNATIVES).collect();
            found.confidence = Confidence::Weak;
        }
        return Some(found);
    }
    // Nested in time alone: of a process that answered one request then, or one of that path. Of several none is chosen.
    let chosen = Chosen::of(&processes, node, |_| false);
    let evidence = match chosen.by {
        _ if processes.is_empty() => return None,
        By::Path => "path",
        By::Alone | By::Thread | By::None => "time",
    };
    let mut found = chosen.found(evidence, Confidence::Weak, None);
    if chosen.by == By::None {
        found.alternatives.extend(found.cause.take());
    }
    Some(found)
}

fn only<'n>(causes: &[&'n Node], holds: impl Fn(&Node) -> bool) -> Vec<&'n Node> {
    causes
        .iter()
        .copied()
        .filter(|cause| holds(cause))
        .collect()
}

/// What was chosen of several exchanges for which the same speaks: the first, and the others behind it.
struct Chosen<'n> {
    causes: Vec<&'n Node>,
    by: By,
}

/// What told the first from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// There were no others.
    Alone,
    Thread,
    Path,
    None,
}

impl<'n> Chosen<'n> {
    fn of(causes: &[&'n Node], node: &Node, by_thread: impl Fn(&Node) -> bool) -> Self {
        // The latest first.
        let mut causes = causes.to_vec();
        causes.sort_by_key(|cause| std::cmp::Reverse((cause.start_ns, cause.id)));
        let is_handed_on = |cause: &Node| cause.is_handed_on_as(node);
        let by = if causes.len() == 1 {
            By::Alone
        } else if let [one] = only(&causes, by_thread)[..] {
            causes.retain(|cause| cause.id == one.id);
            By::Thread
        } else if let [one] = only(&causes, is_handed_on)[..] {
            causes.sort_by_key(|cause| cause.id != one.id);
            By::Path
        } else {
            By::None
        };
        Self { causes, by }
    }

    /// The link to the first, not surer than what told it from the others.
    fn found(&self, evidence: &'static str, sure: Confidence, shared: Option<Shared>) -> Found {
        let most = match self.by {
            By::Alone => Confidence::Certain,
            By::Thread => Confidence::Strong,
            By::Path | By::None => Confidence::Weak,
        };
        let mut ids = self.causes.iter().map(|cause| cause.id);
        Found {
            cause: ids.next(),
            evidence,
            confidence: sure.min(most),
            shared,
            is_only: false,
            alternatives: ids.take(MOST_ALTERNATIVES).collect(),
        }
    }
}

const MOST_ALTERNATIVES: usize = 8;
/// A shorter value may be a word, a year, a count: others may have it by chance.
pub(super) const UNIQUE_BYTES: u64 = 12;

#[cfg(test)]
mod tests {
    use super::super::gather::Seen;
    use super::super::node::Who;
    use super::*;

    const CLIENT: i64 = 1;
    const MIDDLE: i64 = 2;
    const LAST: i64 = 3;

    /// An exchange of `client` with `server` from one time to another.
    fn node(id: i64, (client, server): (i64, i64), (start_ns, end_ns): (u64, u64)) -> Node {
        let who = |process: i64| Who {
            process: Some(process),
            service: process,
            program: process,
        };
        Node {
            id,
            segment: 1,
            connection: id,
            ordinal: 0,
            start_ns,
            end_ns,
            client: who(client),
            server: who(server),
            route: 1,
            method: Some("GET".to_owned()),
            path: Some(format!("/{id}")),
            status: Some(200),
            outcome: 0,
            error_kind: None,
            gaps: 0,
            round_trip_ns: None,
            asked_by: None,
            answered_by: None,
            blocks: [(None, Vec::new()), (None, Vec::new())],
            traces: Vec::new(),
            spans: Vec::new(),
            parents: Vec::new(),
            values: BTreeMap::new(),
        }
    }

    /// All that the middle did from some time on was looked at.
    fn seen(at_ns: u64) -> Seen {
        Seen {
            process: MIDDLE,
            since_ns: 0,
            at_ns,
            until_ns: 1_000,
        }
    }

    /// Two that overlap, and one that either may have caused.
    fn three() -> [Node; 3] {
        [
            node(1, (CLIENT, MIDDLE), (0, 100)),
            node(2, (CLIENT, MIDDLE), (5, 90)),
            node(3, (MIDDLE, LAST), (10, 20)),
        ]
    }

    /// Evidence, confidence, cause and alternatives of the last.
    fn check(nodes: &[Node], expected: Option<(&str, Confidence, Option<i64>, &[i64])>) {
        let gathered = Gathered {
            nodes: nodes.iter().map(|node| (node.id, node.clone())).collect(),
            rare: nodes
                .iter()
                .flat_map(|node| node.values.keys().copied())
                .collect(),
            seen: vec![seen(0)],
            ..Gathered::default()
        };
        let last = nodes.last().map_or(0, |node| node.id);
        let linked = link(&gathered);
        let found = linked.get(&last).map(|found| {
            let alternatives = found.alternatives.as_slice();
            (found.evidence, found.confidence, found.cause, alternatives)
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn time_alone_links_the_only_one_and_chooses_among_none() {
        let [one, two, asked] = three();
        check(
            &[one.clone(), asked.clone()],
            Some(("time", Confidence::Weak, Some(1), &[])),
        );
        check(
            &[one.clone(), two, asked],
            Some(("time", Confidence::Weak, None, &[1, 2])),
        );
        let later = node(3, (MIDDLE, LAST), (101, 110));
        check(&[one.clone(), later], None);
        let of_another = node(3, (LAST, LAST), (10, 20));
        check(&[one, of_another], None);
    }

    #[test]
    fn a_path_tells_them_apart_and_is_weak() {
        let [one, mut two, mut asked] = three();
        two.path = Some("/api/orders".to_owned());
        asked.path = Some("/orders".to_owned());
        check(
            &[one, two, asked],
            Some(("path", Confidence::Weak, Some(2), &[1])),
        );
    }

    #[test]
    fn a_thread_is_evidence_unless_it_does_two_things_at_once() {
        let [mut one, mut two, mut asked] = three();
        one.answered_by = Some(7);
        asked.asked_by = Some(7);
        two.answered_by = Some(8);
        check(
            &[one.clone(), two.clone(), asked.clone()],
            Some(("thread", Confidence::Weak, Some(1), &[2])),
        );
        check(
            &[one.clone(), asked.clone()],
            Some(("thread", Confidence::Strong, Some(1), &[])),
        );
        // An event loop.
        two.answered_by = Some(7);
        check(
            &[one.clone(), two.clone(), asked.clone()],
            Some(("time", Confidence::Weak, None, &[1, 2])),
        );
        // One that tasks are moved between: it answered another that overlaps the first, over by now.
        two.answered_by = Some(8);
        let before = Node {
            answered_by: Some(7),
            ..node(9, (CLIENT, MIDDLE), (0, 8))
        };
        check(
            &[before, one, two, asked],
            Some(("time", Confidence::Weak, None, &[1, 2])),
        );
    }

    /// All that the process sent shows it: then also of several.
    #[test]
    fn a_thread_of_its_own_for_each_request_is_strong() {
        let mut nodes = Vec::new();
        for at in 0..6_i64 {
            let thread = Some(u32::try_from(at).unwrap_or_default());
            let start_ns = at.unsigned_abs();
            nodes.push(Node {
                answered_by: thread,
                ..node(at * 2 + 1, (CLIENT, MIDDLE), (start_ns, 100))
            });
            nodes.push(Node {
                asked_by: thread,
                ..node(at * 2 + 2, (MIDDLE, LAST), (10 + start_ns, 50))
            });
        }
        check(&nodes, Some(("thread", Confidence::Strong, Some(11), &[])));
        // One that was sent by none of them shows that tasks move.
        nodes[1].asked_by = Some(99);
        check(
            &nodes,
            Some(("thread", Confidence::Weak, Some(11), &[1, 3, 5, 7, 9])),
        );
    }

    /// Short values are words.
    #[test]
    fn a_short_value_is_weak() {
        let [mut one, two, mut asked] = three();
        one.values.insert([2; 8], 4);
        asked.values.insert([2; 8], 4);
        check(
            &[one, two, asked],
            Some(("id", Confidence::Weak, Some(1), &[2])),
        );
    }

    #[test]
    fn a_thread_is_no_evidence_where_not_all_was_looked_at() {
        let [mut one, two, mut asked] = three();
        one.answered_by = Some(7);
        asked.asked_by = Some(7);
        let nodes = [one, two, asked];
        let mut gathered = Gathered {
            nodes: nodes.iter().map(|node| (node.id, node.clone())).collect(),
            seen: vec![seen(5)],
            ..Gathered::default()
        };
        let found = |gathered: &Gathered| link(gathered).remove(&3).map(|found| found.evidence);
        assert_eq!(found(&gathered), Some("time"));
        gathered.seen = vec![seen(0)];
        assert_eq!(found(&gathered), Some("thread"));
        gathered.is_incomplete = true;
        assert_eq!(found(&gathered), Some("time"));
    }

    /// Programs of one name are told apart where their processes are known.
    #[test]
    fn the_very_process_is_the_cause() {
        let [mut one, mut two, mut asked] = three();
        for node in [&mut one, &mut two, &mut asked] {
            node.traces.push([1; 8]);
            (node.client.program, node.server.program) = (5, 5);
        }
        two.server.process = Some(LAST);
        check(
            &[one, two, asked],
            Some(("trace", Confidence::Certain, Some(1), &[])),
        );
    }

    #[test]
    fn a_span_and_a_trace_are_certain_where_they_name_one() {
        let [mut one, mut two, mut asked] = three();
        for node in [&mut one, &mut asked] {
            node.traces.push([1; 8]);
        }
        check(
            &[one.clone(), two.clone(), asked.clone()],
            Some(("trace", Confidence::Certain, Some(1), &[])),
        );
        // Two of one trace: nothing says which.
        two.traces.push([1; 8]);
        check(
            &[one.clone(), two.clone(), asked.clone()],
            Some(("trace", Confidence::Weak, Some(2), &[1])),
        );
        one.spans.push([5; 8]);
        two.spans.push([6; 8]);
        asked.parents.push([5; 8]);
        check(
            &[one.clone(), two.clone(), asked.clone()],
            Some(("span", Confidence::Certain, Some(1), &[])),
        );
        // A proxy hands it on as it came.
        asked.parents.clear();
        asked.spans.push([6; 8]);
        check(
            &[one, two, asked],
            Some(("span", Confidence::Certain, Some(2), &[])),
        );
    }

    #[test]
    fn one_that_is_alone_is_weak_where_others_may_be_missing() {
        let [mut one, _, mut asked] = three();
        one.traces.push([1; 8]);
        asked.traces.push([1; 8]);
        let gathered = Gathered {
            nodes: [one, asked].map(|node| (node.id, node)).into(),
            is_incomplete: true,
            ..Gathered::default()
        };
        let found = link(&gathered).remove(&3);
        assert_eq!(
            found.map(|found| (found.evidence, found.confidence)),
            Some(("trace", Confidence::Weak))
        );
    }

    #[test]
    fn the_value_that_others_do_not_share_tells() {
        let [mut one, mut two, mut asked] = three();
        let (session, request) = ([1; 8], [2; 8]);
        for node in [&mut one, &mut two, &mut asked] {
            node.values.insert(session, 24);
        }
        check(
            &[one.clone(), two.clone(), asked.clone()],
            Some(("id", Confidence::Weak, Some(2), &[1])),
        );
        one.values.insert(request, 32);
        asked.values.insert(request, 32);
        check(
            &[one, two, asked],
            Some(("id", Confidence::Strong, Some(1), &[])),
        );
    }
}
