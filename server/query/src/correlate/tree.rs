//! The tree: causes above, what they caused below, in the order of time.
//!
//! Owns: which of the gathered belong to what was named, the order of hops, and the words of a hop.

use std::collections::{BTreeMap, BTreeSet};

use headwater_redact::hashes_in;

use crate::QueryError;
use crate::id::ExchangeId;
use crate::integer::unsigned;
use crate::names::ServiceNames;
use crate::outcome;
use crate::snapshot::Snapshot;

use super::fields::Templates;
use super::gather::Gathered;
use super::header_names::{HeaderNames, Purpose};
use super::link::Found;
use super::node::{Hash, Node};
use super::{Confidence, Hop, Link, TOGETHER, Traced};

/// The hops, each below the one that caused it.
pub(super) fn hops(snapshot: &mut Snapshot, traced: &Traced) -> Result<Vec<Hop>, QueryError> {
    let Traced {
        gathered, linked, ..
    } = traced;
    let belonging = belonging(gathered, linked);
    let mut below: BTreeMap<Option<i64>, Vec<&Node>> = BTreeMap::new();
    for node in belonging.iter().filter_map(|id| gathered.nodes.get(id)) {
        let cause = linked
            .get(&node.id)
            .and_then(|found| found.cause)
            .filter(|cause| belonging.contains(cause));
        below.entry(cause).or_default().push(node);
    }
    for nodes in below.values_mut() {
        nodes.sort_by_key(|node| (node.start_ns, node.id));
    }
    let services = belonging
        .iter()
        .filter_map(|id| gathered.nodes.get(id))
        .flat_map(|node| [node.client.service, node.server.service]);
    let names = ServiceNames::load(snapshot, services.collect())?;
    let (mut hops, mut words) = (Vec::new(), Words::of(traced));
    let roots = below.get(&None).cloned().unwrap_or_default();
    for root in roots {
        // Depth first, without recursion: a hostile chain may be deep.
        let mut stack = vec![(0_u32, root)];
        while let Some((depth, node)) = stack.pop() {
            let caused = below.get(&Some(node.id)).map_or(&[][..], Vec::as_slice);
            let found = linked.get(&node.id);
            let link = words.link(snapshot, node, found)?;
            hops.push(hop(
                snapshot,
                &names,
                gathered,
                (node, root),
                (depth, link),
                caused,
            ));
            stack.extend(
                caused
                    .iter()
                    .rev()
                    .map(|next| (depth.saturating_add(1), *next)),
            );
        }
    }
    Ok(hops)
}

/// Some hops, each caused by the one before.
pub(super) fn path(
    snapshot: &mut Snapshot,
    traced: &Traced,
    path: &[&Node],
) -> Result<Vec<Hop>, QueryError> {
    let services = path
        .iter()
        .flat_map(|node| [node.client.service, node.server.service]);
    let names = ServiceNames::load(snapshot, services.collect())?;
    let (mut hops, mut words) = (Vec::with_capacity(path.len()), Words::of(traced));
    let Some(root) = path.first() else {
        return Ok(hops);
    };
    for (node, depth) in path.iter().zip(0..) {
        let found = traced.linked.get(&node.id).filter(|_| depth > 0);
        let above = usize::try_from(depth).unwrap_or(0).checked_sub(1);
        let above = above.and_then(|above| path.get(above));
        let is_chosen = above.is_some_and(|above| traced.chosen.get(&above.id) == Some(&node.id));
        let link = if is_chosen {
            Some(Link {
                evidence: TOGETHER,
                confidence: Confidence::Weak,
                carrier: None,
                alternatives: Vec::new(),
            })
        } else {
            words.link(snapshot, node, found)?
        };
        let mut caused = traced.caused(node.id);
        caused.sort_by_key(|node| (node.start_ns, node.id));
        hops.push(hop(
            snapshot,
            &names,
            &traced.gathered,
            (node, root),
            (depth, link),
            &caused,
        ));
    }
    Ok(hops)
}

/// What was named, what caused it, and all that these caused.
fn belonging(gathered: &Gathered, linked: &BTreeMap<i64, Found>) -> BTreeSet<i64> {
    let cause = |id: &i64| linked.get(id).and_then(|found| found.cause);
    let mut belonging = BTreeSet::new();
    for named in &gathered.named {
        let mut next = Some(*named);
        while let Some(id) = next {
            // A cause began before, so that this ends; but two that began at once might be each other's.
            if !belonging.insert(id) {
                break;
            }
            next = cause(&id);
        }
    }
    // What shares the trace belongs to it, linked or not.
    let traces: BTreeSet<Hash> = belonging
        .iter()
        .filter_map(|id| gathered.nodes.get(id))
        .flat_map(|node| node.traces.clone())
        .collect();
    let of_trace = |node: &&Node| node.traces.iter().any(|trace| traces.contains(trace));
    belonging.extend(gathered.nodes.values().filter(of_trace).map(|node| node.id));
    loop {
        let more: Vec<i64> = gathered
            .nodes
            .keys()
            .filter(|id| !belonging.contains(id))
            .filter(|id| cause(id).is_some_and(|cause| belonging.contains(&cause)))
            .copied()
            .collect();
        if more.is_empty() {
            return belonging;
        }
        belonging.extend(more);
    }
}

/// What the words of links are made from.
struct Words<'t> {
    traced: &'t Traced,
    templates: Templates,
    /// Read when the first link by an id is met.
    names: Option<HeaderNames>,
}

impl<'t> Words<'t> {
    fn of(traced: &'t Traced) -> Self {
        Self {
            traced,
            templates: Templates::default(),
            names: None,
        }
    }

    fn link(
        &mut self,
        snapshot: &mut Snapshot,
        node: &Node,
        found: Option<&Found>,
    ) -> Result<Option<Link>, QueryError> {
        let Some(found) = found else {
            return Ok(None);
        };
        let gathered = &self.traced.gathered;
        let cause = found.cause.and_then(|cause| gathered.nodes.get(&cause));
        let (mut carrier, mut is_told) = (None, false);
        if let Some((shared, cause)) = found.shared.zip(cause) {
            carrier = self.carrier(snapshot, cause, shared.hash)?;
            let passed = self.carrier(snapshot, node, shared.hash)?;
            if self.names.is_none() {
                self.names = Some(HeaderNames::load(snapshot, Purpose::Correlation)?);
            }
            let is_named = |name: &Option<String>| {
                let names = name.as_deref().zip(self.names.as_ref());
                names.is_some_and(|(name, names)| names.has(name))
            };
            is_told = is_named(&carrier) && is_named(&passed);
        }
        // A header that is there to tell what belongs together, and one exchange alone that had the same: no matter how short.
        let is_only = is_told && found.is_only;
        let confidence = match found.confidence {
            Confidence::Strong if is_told => Confidence::Certain,
            Confidence::Weak if is_only => Confidence::Strong,
            confidence => confidence,
        };
        let tag = snapshot.tag();
        let printed = |id: &i64| ExchangeId(unsigned(*id)).printed(&tag);
        let others = found.alternatives.iter().filter(|_| !is_only);
        Ok(Some(Link {
            evidence: found.evidence,
            confidence,
            carrier,
            alternatives: others.map(printed).collect(),
        }))
    }

    /// The header of an exchange that holds a value, or `path`; `None` where it stands elsewhere.
    fn carrier(
        &mut self,
        snapshot: &mut Snapshot,
        node: &Node,
        shared: Hash,
    ) -> Result<Option<String>, QueryError> {
        let redactor = self.traced.redactor.as_ref();
        // A header that the operator keeps readable is hashed here.
        let is_kept = |text: &str| {
            let hashed = redactor.map(|redactor| redactor.identifiers_of(text.as_bytes()));
            hashed.is_some_and(|hashed| hashed.contains(&shared))
        };
        let holds = |text: &str| hashes_in(text).any(|(hash, _)| hash == shared) || is_kept(text);
        for fields in self.templates.fields(snapshot, node)? {
            if let Some(field) = fields.into_iter().find(|field| holds(&field.value.text)) {
                return Ok(Some(field.name));
            }
        }
        let in_path = || {
            let path = node.path.as_deref()?;
            let found = redactor?.identifiers_in(path);
            found
                .iter()
                .any(|(hash, _)| *hash == shared)
                .then(|| "path".to_owned())
        };
        Ok(in_path())
    }
}

fn hop(
    snapshot: &Snapshot,
    names: &ServiceNames,
    gathered: &Gathered,
    (node, root): (&Node, &Node),
    (depth, link): (u32, Option<Link>),
    caused: &[&Node],
) -> Hop {
    let end_ns = match node.end_ns {
        u64::MAX => snapshot.now_ns.max(node.start_ns),
        end_ns => end_ns,
    };
    let latency_ns = end_ns.saturating_sub(node.start_ns);
    Hop {
        depth,
        id: ExchangeId(unsigned(node.id)).printed(&snapshot.tag()),
        client: names.of(node.client.service).shown,
        server: names.of(node.server.service).shown,
        method: node.method.clone(),
        path: node.path.clone(),
        status_code: node.status,
        outcome: outcome::name(node.outcome),
        start_ns: node.start_ns,
        after_ns: node.start_ns.saturating_sub(root.start_ns),
        latency_ns,
        own_ns: latency_ns.saturating_sub(covered(node.start_ns, end_ns, caused)),
        network_ns: node.round_trip_ns,
        link,
        is_named: gathered.named.contains(&node.id),
    }
}

/// How much of a time some exchange of these was under way. They are in the order of their starts.
fn covered(start_ns: u64, end_ns: u64, caused: &[&Node]) -> u64 {
    let (mut covered, mut until) = (0_u64, start_ns);
    for node in caused {
        let from = node.start_ns.max(until);
        let to = node.end_ns.min(end_ns);
        covered = covered.saturating_add(to.saturating_sub(from));
        until = until.max(to);
    }
    covered
}
