//! `trace_transaction`: the exchanges that belong together, across processes, as a tree with the evidence of each link.
//!
//! Owns: the question, and the order of the work: what the id names (`lookup`), what belongs to it by identifiers and by the
//! processes that it went through (`gather`), who caused whom (`link`), and the tree (`tree`). Links are found when they are
//! asked for and not stored: whether a value identifies anything is known only when it is known how often it came, and
//! ingest pays for an index alone.

mod calls;
mod changes;
mod explain;
mod fields;
mod findings;
mod gather;
mod group;
mod handshakes;
mod header_names;
mod link;
mod lookup;
mod meanwhile;
mod names;
mod need;
mod node;
mod peers;
mod session;
mod session_ids;
mod tree;
mod verdict;

use std::collections::BTreeMap;
use std::path::Path;

use headwater_redact::Redactor;

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::recorder::{Runs, everything};
use crate::search::secret::Secrets;
use crate::segments::Segment;
use crate::snapshot::Snapshot;
use crate::{Answer, CoverageItem, QueryError, segments};

pub use explain::{Failure, Suspect};
pub(crate) use explain::{SuspectPlace, answer as explain, suspect};
pub use findings::Finding;
use gather::Gathered;
use link::Found;
use lookup::{Index, Named};
use node::Node;
pub(crate) use session::answer as session;
pub use session::{Session, SessionQuery, SessionRow};

/// What to trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionQuery {
    /// A printed exchange id, or any value that the requests carried: a trace id, a request id, an order number.
    pub id: String,
    /// Hops at most (1 to 200).
    pub limit: u32,
}

/// How sure a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It may be chance.
    Weak,
    /// It is most likely right.
    Strong,
    /// Both ends say so.
    Certain,
}

impl Confidence {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Strong => "strong",
            Self::Certain => "certain",
        }
    }
}

/// What links an exchange to the one that caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// span, trace, id, thread, path or time; or together, of a chain: it failed when others failed like the one above, and not when these
    /// did not.
    pub evidence: &'static str,
    /// How sure it is.
    pub confidence: Confidence,
    /// Where the id that both share stands, when it is one. Untrusted.
    pub carrier: Option<String>,
    /// Printed ids of other exchanges that may have caused it as well.
    pub alternatives: Vec<String>,
}

/// One exchange of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// How many exchanges above it caused it, one the other.
    pub depth: u32,
    /// Printed id.
    pub id: String,
    /// Calling service. Untrusted.
    pub client: String,
    /// Answering service. Untrusted.
    pub server: String,
    /// Untrusted.
    pub method: Option<String>,
    /// Path, redacted. Untrusted.
    pub path: Option<String>,
    /// Status code.
    pub status_code: Option<u16>,
    /// Outcome name.
    pub outcome: &'static str,
    /// Start, nanoseconds since the epoch.
    pub start_ns: u64,
    /// Start, after the transaction's.
    pub after_ns: u64,
    /// First request byte to last response byte.
    pub latency_ns: u64,
    /// The part of it in which no exchange that it caused was under way.
    pub own_ns: u64,
    /// The least round trip of its connection, where it is known: what the network between takes of an answer at least.
    pub network_ns: Option<u64>,
    /// To the hop above; `None` where nothing above was found.
    pub link: Option<Link>,
    /// It is what was asked for, or holds the value that was.
    pub is_named: bool,
}

/// Evidence of a chain.
const TOGETHER: &str = "together";

/// Answers the question.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    query: &TransactionQuery,
) -> Result<Answer<Vec<Hop>>, QueryError> {
    let limit = crate::search::checked_limit(query.limit)?;
    let runs = Runs::load(snapshot)?;
    let segments = segments::all(snapshot)?;
    let traced = Traced::trace(snapshot, &segments, store, &query.id)?;
    let mut hops = tree::hops(snapshot, &traced)?;
    let window = match span(&hops) {
        Some(window) => window,
        None => everything(snapshot, &runs)?,
    };
    let mut remarks = traced.remarks(window);
    if hops.len() > limit {
        let left_out = hops.len() - limit;
        hops.truncate(limit);
        remarks.push(remark(
            window,
            "transaction_cut",
            format!("{left_out} hops more belong to this; a greater limit shows them."),
        ));
    }
    let empty = hops.is_empty();
    Framed {
        about: About::Http,
        value: hops,
        empty,
        window,
        next_cursor: None,
        remarks,
    }
    .finish(snapshot, &runs, &segments)
}

/// What was found of a transaction.
struct Traced {
    /// What was found below an exchange that nothing is linked to, by what fails together.
    chosen: BTreeMap<i64, i64>,
    /// For what is followed later.
    index: Index,
    gathered: Gathered,
    linked: BTreeMap<i64, Found>,
    /// More exchanges than so many hold the value that was asked for.
    common: Option<usize>,
    /// The value could not be hashed.
    is_without_key: bool,
    /// What finds identifiers, where the key is at hand.
    redactor: Option<Redactor>,
}

impl Traced {
    fn trace(
        snapshot: &mut Snapshot,
        segments: &[Segment],
        store: &Path,
        id: &str,
    ) -> Result<Self, QueryError> {
        let redactor = Secrets::load(store, snapshot.opened.key_fingerprint.as_deref()).redactor();
        let named = Named::find(snapshot, segments, redactor.as_ref(), id)?;
        let gathered = gather::gather(snapshot, segments, redactor.as_ref(), &named)?;
        Ok(Self {
            chosen: BTreeMap::new(),
            linked: link::link(&gathered),
            gathered,
            redactor,
            common: named.common,
            is_without_key: named.is_without_key,
            index: named.index,
        })
    }

    /// Looks around an exchange that was only there to be compared with, as around those that belong together.
    fn follow(
        &mut self,
        snapshot: &mut Snapshot,
        segments: &[Segment],
        id: i64,
    ) -> Result<(), QueryError> {
        let Some(node) = self.gathered.nodes.get(&id).cloned() else {
            return Ok(());
        };
        gather::walk(
            snapshot,
            segments,
            self.redactor.as_ref(),
            &self.index,
            &mut self.gathered,
            vec![node],
        )?;
        self.linked = link::link(&self.gathered);
        Ok(())
    }

    /// Whether the server's process of an exchange may have asked for anything to answer it.
    fn asks(
        &self,
        snapshot: &mut Snapshot,
        segments: &[Segment],
        id: i64,
    ) -> Result<bool, QueryError> {
        let node = self.gathered.nodes.get(&id);
        match node.and_then(|node| node.server.process.map(|process| (node, process))) {
            Some((node, process)) => need::asks(snapshot, segments, node, process),
            None => Ok(false),
        }
    }

    /// Looks at all that the server's process of an exchange did meanwhile; says whether that had not been done.
    fn look_around(
        &mut self,
        snapshot: &mut Snapshot,
        segments: &[Segment],
        id: i64,
    ) -> Result<bool, QueryError> {
        let Some(node) = self.gathered.nodes.get(&id).cloned() else {
            return Ok(false);
        };
        let has_seen = |process| self.gathered.has_looked(process, &node);
        if node.server.process.is_none_or(has_seen) {
            return Ok(false);
        }
        gather::look_around(
            snapshot,
            segments,
            self.redactor.as_ref(),
            &mut self.gathered,
            &node,
        )?;
        self.linked = link::link(&self.gathered);
        Ok(true)
    }

    /// What caused an exchange.
    fn cause(&self, id: i64) -> Option<i64> {
        self.linked.get(&id).and_then(|found| found.cause)
    }

    /// What an exchange caused, in the order of ids.
    fn caused(&self, id: i64) -> Vec<&Node> {
        let linked = self.linked.iter();
        linked
            .filter(|(_, found)| found.cause == Some(id))
            .filter_map(|(caused, _)| self.gathered.nodes.get(caused))
            .collect()
    }

    /// What an exchange may have caused as well as another that was under way: of the same path, where there are such.
    fn perhaps_caused(&self, cause: &Node) -> Vec<&Node> {
        let is_open = |node: &&Node| {
            let found = self.linked.get(&node.id);
            found.is_none_or(|found| {
                found.cause != Some(cause.id) && found.confidence == Confidence::Weak
            })
        };
        let mut nodes: Vec<&Node> = self
            .gathered
            .nodes
            .values()
            .filter(|node| cause.server.is_process(node.client) && cause.may_cause(node))
            .filter(is_open)
            .collect();
        if nodes.iter().any(|node| cause.is_handed_on_as(node)) {
            nodes.retain(|node| cause.is_handed_on_as(node));
        }
        nodes
    }

    /// What could not be looked at.
    fn remarks(&self, window: Window) -> Vec<CoverageItem> {
        let mut remarks = Vec::new();
        if self.is_without_key {
            remarks.push(without_key(window));
        }
        if let Some(common) = self.common {
            remarks.push(remark(
                window,
                "value_is_common",
                format!(
                    "More than {common} exchanges hold that value: it names no single transaction. The newest are shown, each \
                     with what belongs to it."
                ),
            ));
        }
        if self.gathered.is_cut {
            remarks.push(remark(
                window,
                "transaction_cut",
                "So much happened at the same time that not all of it was looked at: more may belong to this.".to_owned(),
            ));
        }
        remarks
    }
}

fn without_key(window: Window) -> CoverageItem {
    remark(
        window,
        "key_unavailable",
        "The key beside the store cannot be read or is not the one its hashes were made with, so that a value cannot be \
         looked for. Read the store as a member of its group, with its .key file beside it, or give an exchange id."
            .to_owned(),
    )
}

fn remark(window: Window, kind: &str, explanation: String) -> CoverageItem {
    CoverageItem {
        kind: kind.to_owned(),
        from_ns: window.since_ns,
        until_ns: window.until_ns,
        count: 1,
        explanation,
    }
}

/// From the first to the last moment of the hops.
fn span(hops: &[Hop]) -> Option<Window> {
    let since_ns = hops.iter().map(|hop| hop.start_ns).min()?;
    let ends = hops
        .iter()
        .map(|hop| hop.start_ns.saturating_add(hop.latency_ns));
    Some(Window {
        since_ns,
        until_ns: ends.max()?,
    })
}
