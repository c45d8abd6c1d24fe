//! `trace_transaction`: what belongs to one request, session or order, across processes.

use headwater_query::{Hop, TransactionQuery};
use serde_json::Value;

use super::{Asking, Declaration, ToolError, milliseconds};
use crate::{
    Arguments, Kind, Output, Parameter,
    arguments::common::{DETAIL, LIMIT, MAX_TOKENS},
    budget::{Fit, Fitting, cut},
    escape::cell,
    output::{ColumnSpec, TableSpec, captured_column, column, detailed},
};

const ID: Parameter = Parameter {
    name: "id",
    kind: Kind::Text,
    required: true,
    description: "Exchange id (x_…), or a plain value that the requests carried: a trace id, a request id, an order number, a token (not words, \
        and not what is kept readable of a query)",
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "trace_transaction",
    title: "One transaction across processes",
    description: "What belongs together with one exchange, or with those that carry an id: a tree of exchanges across processes, each below \
        the one that caused it, with the time that each took in all, by itself (own_ms) and on the network (network_ms, the least round trip), and the evidence for each link: span or trace (trace \
        context of any format), id (a rare value that both carry; by says where), thread (sent by the thread that answered the one above), path \
        (of the same path), time (nested in it). certain and strong links can be relied on; weak ones may be chance, alternatives are other \
        exchanges that may have caused it. Without an id, causes are looked for up to 5 s before. Use it to see where a slow or failed request \
        spent its time.",
    parameters: &[ID, LIMIT, DETAIL, MAX_TOKENS],
    facts: &[],
    tables: &[TABLE],
};

/// What is told of a hop.
pub(super) const HOP: [ColumnSpec; 13] = [
    column("depth"),
    column("id"),
    captured_column("client"),
    captured_column("server"),
    captured_column("method"),
    captured_column("path"),
    column("status"),
    column("outcome"),
    column("after_ms"),
    column("took_ms"),
    column("own_ms"),
    column("evidence"),
    column("confidence"),
];

/// And of its link.
const LINK: [ColumnSpec; 5] = [
    captured_column("by"),
    column("alternatives"),
    column("network_ms"),
    column("waterfall"),
    detailed(column("named")),
];

const TABLE: TableSpec = TableSpec {
    name: "",
    columns: &{
        let mut all = [column(""); HOP.len() + LINK.len()];
        let (hop, link) = all.split_at_mut(HOP.len());
        hop.copy_from_slice(&HOP);
        link.copy_from_slice(&LINK);
        all
    },
};

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let query = TransactionQuery {
        id: arguments.text("id").unwrap_or_default(),
        limit: arguments.limit(),
    };
    let mut answer = asking.store.transaction(&query, asking.cancel).await?;
    let mut fitting = Fitting::new(arguments.max_tokens());
    let mut left_out = 0;
    let ends = answer
        .value
        .iter()
        .map(|hop| hop.after_ns.saturating_add(hop.latency_ns));
    let whole_ns = ends.max().unwrap_or(0);
    loop {
        let mut output = Output::listed(
            &answer,
            "Try the id of an exchange, from search_exchanges.",
            &TABLE,
            arguments.is_detailed(),
            |hop| row(hop, whole_ns),
        );
        if left_out > 0 {
            output.notes.push(format!(
                "{left_out} hops at the end are left out for max_tokens"
            ));
        }
        match fitting.judge(output) {
            Fit::Done(output) => return Ok(*output),
            Fit::Again(most) => left_out += cut(&mut answer.value, most),
        }
    }
}

fn row(hop: &Hop, whole_ns: u64) -> Vec<Value> {
    let link = hop.link.as_ref();
    let alternatives = link.filter(|link| !link.alternatives.is_empty());
    let mut row = self::hop(hop);
    row.extend([
        link.and_then(|link| link.carrier.as_deref())
            .map(cell)
            .into(),
        alternatives.map(|link| link.alternatives.join(" ")).into(),
        milliseconds(hop.network_ns),
        waterfall(hop, whole_ns).into(),
        Value::from(hop.is_named),
    ]);
    row
}

/// When it was under way, as a part of the whole: `..###.....`.
fn waterfall(hop: &Hop, whole_ns: u64) -> String {
    let place = |ns: u64| {
        let part = u128::from(ns) * u128::from(WIDTH) / u128::from(whole_ns.max(1));
        u64::try_from(part).unwrap_or(WIDTH).min(WIDTH)
    };
    let from = place(hop.after_ns).min(WIDTH - 1);
    let to = place(hop.after_ns.saturating_add(hop.latency_ns)).max(from + 1);
    (0..WIDTH)
        .map(|at| if (from..to).contains(&at) { '#' } else { '.' })
        .collect()
}

/// Characters of the bar.
const WIDTH: u64 = 16;

/// The cells of `HOP`.
pub(super) fn hop(hop: &Hop) -> Vec<Value> {
    let link = hop.link.as_ref();
    vec![
        hop.depth.into(),
        hop.id.as_str().into(),
        cell(&hop.client).into(),
        cell(&hop.server).into(),
        hop.method.as_deref().map(cell).into(),
        hop.path.as_deref().map(cell).into(),
        hop.status_code.into(),
        hop.outcome.into(),
        milliseconds(Some(hop.after_ns)),
        milliseconds(Some(hop.latency_ns)),
        milliseconds(Some(hop.own_ns)),
        link.map(|link| link.evidence).into(),
        link.map(|link| link.confidence.name()).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_shows_when_a_hop_was_under_way() {
        let mut hop = Hop {
            depth: 0,
            id: String::new(),
            client: String::new(),
            server: String::new(),
            method: None,
            path: None,
            status_code: None,
            outcome: "complete",
            start_ns: 0,
            after_ns: 0,
            latency_ns: 160,
            own_ns: 0,
            network_ns: None,
            link: None,
            is_named: false,
        };
        assert_eq!(waterfall(&hop, 160), "################");
        (hop.after_ns, hop.latency_ns) = (40, 80);
        assert_eq!(waterfall(&hop, 160), "....########....");
        // What is too short to be seen is seen.
        (hop.after_ns, hop.latency_ns) = (160, 0);
        assert_eq!(waterfall(&hop, 160), "...............#");
        assert_eq!(waterfall(&hop, 0), "...............#");
    }
}
