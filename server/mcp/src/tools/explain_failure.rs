//! `explain_failure`: from a symptom to the hop that failed first.

use headwater_query::Finding;
use serde_json::Value;

use super::{Asking, Declaration, ToolError, signed_milliseconds, trace_transaction};
use crate::{
    Arguments, Kind, Output, Parameter,
    arguments::common::MAX_TOKENS,
    budget::squeeze,
    escape::{cell, value},
    output::{FactSpec, Table, TableSpec, captured, captured_column, column, fact},
};

const ID: Parameter = Parameter {
    name: "id",
    kind: Kind::Text,
    required: true,
    description: "Exchange id (x_…) or group (g_…) of find_errors, or a plain value that the request carried, as for trace_transaction; \
        of several exchanges the newest that failed",
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "explain_failure",
    title: "Why a request failed or was slow",
    description: "From one failed or slow exchange, or a group of such, down to the hop that failed first (or took the time): the chain with the evidence for each \
        link, and what is known around the suspect: connections that its process could not make, names not resolved, how processes \
        ended, what its own connection met; what was ruled out; and what could not be seen (such as encrypted connections). \
        Use it on a group or an example of find_errors. trace_transaction shows the whole tree, get_exchange the headers, get_connection the TCP story.",
    parameters: &[ID, MAX_TOKENS],
    facts: FACTS,
    tables: &[CHAIN, FINDINGS],
};

const FACTS: &[FactSpec] = &[
    fact("symptom", "string"),
    fact("verdict", "string"),
    fact("suspect.id", "string"),
    captured("suspect.service"),
];

const CHAIN: TableSpec = TableSpec {
    name: "chain",
    columns: &trace_transaction::HOP,
};

const FINDINGS: TableSpec = TableSpec {
    name: "findings",
    columns: &[
        column("is"),
        column("after_ms"),
        column("what"),
        column("id"),
        captured_column("captured"),
    ],
};

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let id = arguments.text("id").unwrap_or_default();
    let answer = asking.store.failure(&id, asking.cancel).await?;
    let mut output = Output::framed(&answer, "Try a group or an example of find_errors.");
    let failure = &answer.value;
    if !failure.chain.is_empty() {
        output.tell(FACTS, "symptom", failure.symptom.as_str());
        output.tell(FACTS, "verdict", failure.verdict.as_str());
        output.tell(FACTS, "suspect.id", failure.suspect.as_deref());
        output.tell(
            FACTS,
            "suspect.service",
            failure.suspect_service.as_deref().map(value),
        );
    }
    let mut chain = Table::new(&CHAIN, true);
    for hop in &failure.chain {
        chain.push(&CHAIN, trace_transaction::hop(hop));
    }
    let mut findings = Table::new(&FINDINGS, true);
    for finding in &failure.findings {
        findings.push(&FINDINGS, finding_row(finding));
    }
    output.tables.extend([chain, findings]);
    Ok(squeeze(output, arguments.max_tokens()))
}

fn finding_row(finding: &Finding) -> Vec<Value> {
    vec![
        finding.is.into(),
        signed_milliseconds(finding.after_ns),
        finding.what.as_str().into(),
        finding.id.clone().into(),
        finding.captured.as_deref().map(cell).into(),
    ]
}
