//! `compare`: what is different from before.

use headwater_query::{Change, CompareQuery, Syntax, TimeArgument, WindowArgument, rfc3339};
use serde_json::Value;

use super::{Asking, Declaration, ToolError, window};
use crate::{
    Arguments, Output, Parameter,
    arguments::common::{LIMIT, MAX_TOKENS, SERVICE, SINCE, UNTIL},
    budget::{Fit, Fitting, cut},
    escape::cell,
    output::{FactSpec, Table, TableSpec, captured_column, column, fact},
};

const BASELINE_SINCE: Parameter = Parameter::written(
    "baseline_since",
    Syntax::Time,
    "Start of what it is compared with, like since. Default: as long as the window",
);
const BASELINE_UNTIL: Parameter = Parameter::written(
    "baseline_until",
    Syntax::Time,
    "Its end. Default: where the window begins",
);

pub(super) static DECLARATION: Declaration = Declaration {
    name: "compare",
    title: "What changed",
    description: "What is different in a window from the time before it, such as after a deploy (since=its mark or time): destinations and routes that \
        appeared or vanished, failures, latency and rate of routes, header names and values, statuses, processes and addresses of sampled requests, \
        names that mean other addresses. What got worse comes first; differences that chance would easily make are left out (chance says how \
        likely it is at most). Use it when something broke or got slow at a known time.",
    parameters: &[
        SINCE,
        UNTIL,
        BASELINE_SINCE,
        BASELINE_UNTIL,
        SERVICE,
        LIMIT,
        MAX_TOKENS,
    ],
    facts: FACTS,
    tables: &[TABLE],
};

const FACTS: &[FactSpec] = &[
    fact("baseline.since", "string"),
    fact("baseline.until", "string"),
    fact("baseline.counted", "integer"),
    fact("window.since", "string"),
    fact("window.until", "string"),
    fact("window.counted", "integer"),
];

const TABLE: TableSpec = TableSpec {
    name: "",
    columns: &[
        column("what"),
        captured_column("server"),
        captured_column("client"),
        captured_column("route"),
        column("before"),
        column("after"),
        captured_column("captured"),
        column("chance"),
    ],
};

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let query = CompareQuery {
        window: window(arguments),
        baseline: WindowArgument {
            since: arguments.text("baseline_since").map(TimeArgument),
            until: arguments.text("baseline_until").map(TimeArgument),
        },
        service: arguments.text("service"),
        limit: arguments.limit(),
    };
    let mut answer = asking.store.compare(&query, asking.cancel).await?;
    let mut fitting = Fitting::new(arguments.max_tokens());
    let mut left_out = 0;
    loop {
        let compared = &answer.value;
        let mut output =
            Output::framed(&answer, "Try a longer window (since), or without service.");
        for (path, ns) in [
            ("baseline.since", compared.baseline.since_ns),
            ("baseline.until", compared.baseline.until_ns),
            ("window.since", compared.window.since_ns),
            ("window.until", compared.window.until_ns),
        ] {
            output.tell(FACTS, path, rfc3339(ns));
        }
        output.tell(FACTS, "baseline.counted", compared.counts.0);
        output.tell(FACTS, "window.counted", compared.counts.1);
        let mut table = Table::new(&TABLE, true);
        for change in &compared.changes {
            table.push(&TABLE, row(change));
        }
        if table.rows.is_empty() && compared.counts.0 > 0 && compared.counts.1 > 0 {
            output
                .notes
                .push("no difference was found that chance would hardly make".to_owned());
        }
        if left_out > 0 {
            output.notes.push(format!(
                "{left_out} lesser differences are left out for max_tokens"
            ));
        }
        output.tables.push(table);
        match fitting.judge(output) {
            Fit::Done(output) => return Ok(*output),
            Fit::Again(most) => left_out += cut(&mut answer.value.changes, most),
        }
    }
}

fn row(change: &Change) -> Vec<Value> {
    let captured = |text: &Option<String>| Value::from(text.as_deref().map(cell));
    vec![
        change.what.into(),
        captured(&change.server),
        captured(&change.client),
        captured(&change.route),
        change.before.as_str().into(),
        change.after.as_str().into(),
        captured(&change.captured),
        change.chance.into(),
    ]
}
