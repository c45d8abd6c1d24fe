//! What the suspect of `explain_failure` asked of others while it was under way, and what failed before with the same id.

use std::collections::BTreeMap;

use crate::QueryError;
use crate::exchange::span;
use crate::id::ExchangeId;
use crate::integer::{signed, unsigned};
use crate::names::ServiceNames;
use crate::snapshot::Snapshot;

use super::Traced;
use super::findings::{Finding, words_of};
use super::link::UNIQUE_BYTES;
use super::node::{Node, OPEN};

/// The exchanges that it made, and those that may be its own.
struct Calls<'t> {
    suspect: &'t Node,
    caused: Vec<&'t Node>,
    perhaps: Vec<&'t Node>,
    /// Earlier ones that failed and carry the same rare value: what the suspect waits for may have been done there.
    earlier: Vec<&'t Node>,
    names: ServiceNames,
    now_ns: u64,
    tag: String,
}

/// Tells of them.
pub(super) fn told(
    snapshot: &mut Snapshot,
    traced: &Traced,
    suspect: &Node,
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let caused = traced.caused(suspect.id);
    let perhaps = traced.perhaps_caused(suspect);
    let gathered = &traced.gathered;
    let is_earlier = |node: &&Node| {
        node.has_failed()
            && node.end_ns <= suspect.start_ns
            && node.server.service != suspect.server.service
            && gathered
                .shared(node, suspect)
                .any(|shared| shared.length >= UNIQUE_BYTES)
    };
    let earlier: Vec<&Node> = gathered.nodes.values().filter(is_earlier).collect();
    let services = caused
        .iter()
        .chain(&perhaps)
        .chain(&earlier)
        .map(|node| node.server.service);
    let calls = Calls {
        names: ServiceNames::load(snapshot, services.collect())?,
        suspect,
        caused,
        perhaps,
        earlier,
        now_ns: snapshot.now_ns,
        tag: snapshot.tag(),
    };
    calls.failed(findings);
    calls.many(findings);
    calls.others(findings);
    Ok(())
}

impl Calls<'_> {
    /// Service, method and path. Untrusted.
    fn place(&self, node: &Node) -> String {
        let parts = [
            Some(self.names.of(node.server.service).shown),
            node.method.clone(),
            node.path.clone(),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// A finding about one of them.
    fn about(&self, is: &'static str, node: &Node, what: String) -> Finding {
        Finding {
            is,
            after_ns: Some(signed(node.start_ns).saturating_sub(signed(self.suspect.start_ns))),
            what,
            id: Some(ExchangeId(unsigned(node.id)).printed(&self.tag)),
            captured: Some(self.place(node)),
        }
    }

    fn failed(&self, findings: &mut Vec<Finding>) {
        findings.extend(self.earlier.iter().take(MOST_OTHERS).map(|node| {
            let words = words_of(node, self.now_ns);
            let what =
                format!("an earlier exchange that carries the same rare value failed: {words}");
            self.about("same_id", node, what)
        }));
        let own = self.caused.iter().filter(|node| node.has_failed());
        findings.extend(own.take(MOST_OTHERS).map(|node| {
            let words = words_of(node, self.now_ns);
            self.about(
                "known",
                node,
                format!("an exchange that it made meanwhile: {words}"),
            )
        }));
        let failed = self.perhaps.iter().filter(|node| node.has_failed());
        if let Some(last) = failed.clone().next_back() {
            let what = format!(
                "of {} exchanges that its process made meanwhile, for this or for others, {} failed, such as this: {}",
                self.perhaps.len(),
                failed.count(),
                words_of(last, self.now_ns)
            );
            findings.push(self.about("known", last, what));
        }
    }

    /// Many with one service.
    fn many(&self, findings: &mut Vec<Finding>) {
        let mut by_service: BTreeMap<i64, Vec<&Node>> = BTreeMap::new();
        for node in &self.caused {
            by_service
                .entry(node.server.service)
                .or_default()
                .push(node);
        }
        for (service, nodes) in by_service.iter().filter(|(_, nodes)| nodes.len() >= MANY) {
            let took: u64 = nodes.iter().map(|node| node.lasted_ns()).sum();
            let is_most = took.saturating_mul(2) > self.suspect.lasted_ns();
            findings.push(Finding {
                is: if is_most { "slow" } else { "known" },
                after_ns: None,
                what: format!(
                    "it made {} exchanges with one service meanwhile, which took {} in all",
                    nodes.len(),
                    span(took)
                ),
                id: None,
                captured: Some(self.names.of(*service).shown),
            });
        }
    }

    /// Those that ended well, and those that went on.
    fn others(&self, findings: &mut Vec<Finding>) {
        let (good, outlasting): (Vec<&Node>, Vec<&Node>) = self
            .caused
            .iter()
            .copied()
            .filter(|node| !node.has_failed())
            .partition(|node| node.outcome != OPEN && node.end_ns <= self.suspect.end_ns);
        findings.extend(outlasting.iter().take(MOST_OTHERS).map(|node| {
            let lasted = span(node.end_ns.min(self.now_ns).saturating_sub(node.start_ns));
            let what = format!(
                "an exchange that it made meanwhile went on when this was over: {lasted}, as far as known"
            );
            self.about("known", node, what)
        }));
        if let Some(slowest) = good.iter().max_by_key(|node| node.lasted_ns()) {
            let lasted = span(slowest.lasted_ns());
            let what = match good.len() {
                1 => format!("what it called meanwhile ended well, after {lasted}"),
                many => format!(
                    "{many} exchanges that it made meanwhile ended well, the slowest after {lasted}"
                ),
            };
            findings.push(self.about("ruled_out", slowest, what));
        }
    }
}

/// Exchanges with one service that are worth a word.
const MANY: usize = 10;
/// Exchanges below the suspect that are told one by one.
const MOST_OTHERS: usize = 3;
