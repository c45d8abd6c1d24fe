//! `find_errors`: failures grouped by service, route and kind, and routes that became slow.

use headwater_query::{ErrorGroup, ErrorsQuery, Suspect, rfc3339};
use serde_json::Value;

use super::{Asking, Declaration, ToolError, window};
use crate::{
    Arguments, Kind, Output, Parameter,
    arguments::common::{CURSOR, DETAIL, LIMIT, MAX_TOKENS, SERVICE, SINCE, UNTIL},
    budget::{Fit, Fitting},
    escape::cell,
    output::{TableSpec, captured_column, column, detailed},
};

const ONLY_SERVER: Parameter = Parameter {
    name: "without_client_errors",
    kind: Kind::Flag,
    required: false,
    description: "Leave out responses 400 to 499 and dns_nxdomain",
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "find_errors",
    title: "Failures, grouped",
    description: "Failures grouped by service, route and kind: HTTP status 4xx and 5xx, reset, closed, refused, gave_up, \
        timed_out, malformed, unreachable, grpc, http2 and websocket codes, tls_handshake alerts, server_process_killed (it died with the exchange open; \
        also _failed, client_), dns_nxdomain and the like, and slow (three times as long as usual on that \
        route before), with counts, last time and newest id (detail: first time, three ids): x_… and d_… for get_exchange, c_… for get_connection where a connection came to \
        no exchange. Most more than before (in as long a time) come first. fails_at tells a failure itself from one that came \
        from hops below (suspect), by up to three examples; group (g_…) is for explain_failure. Use it first when something broke.",
    parameters: &[
        SINCE,
        UNTIL,
        SERVICE,
        ONLY_SERVER,
        LIMIT,
        CURSOR,
        DETAIL,
        MAX_TOKENS,
    ],
    facts: &[],
    tables: &[TABLE],
};

const TABLE: TableSpec = TableSpec {
    name: "",
    columns: &[
        captured_column("server"),
        captured_column("route"),
        column("kind"),
        column("count"),
        column("before"),
        column("of_requests"),
        column("last"),
        column("examples"),
        column("group"),
        column("fails_at"),
        captured_column("suspect"),
        column("suspect_id"),
        detailed(column("first")),
        detailed(captured_column("client")),
    ],
};

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let mut query = ErrorsQuery {
        window: window(arguments),
        service: arguments.text("service"),
        include_client_errors: !arguments.flag("without_client_errors"),
        limit: arguments.limit(),
        cursor: arguments.text("cursor"),
    };
    let mut fitting = Fitting::new(arguments.max_tokens());
    loop {
        let answer = asking.store.errors(&query, asking.cancel).await?;
        let output = Output::listed(
            &answer,
            "Try a longer window (since) or without service; list_services shows what was served.",
            &TABLE,
            arguments.is_detailed(),
            |group| row(group, arguments.is_detailed()),
        );
        match fitting.judge(output) {
            Fit::Done(output) => return Ok(*output),
            Fit::Again(limit) => query.limit = limit,
        }
    }
}

fn row(group: &ErrorGroup, is_detailed: bool) -> Vec<Value> {
    // The group's own id stands for the others.
    let most = if is_detailed { usize::MAX } else { 1 };
    let examples: Vec<_> = group.examples.iter().take(most).cloned().collect();
    let below = group.suspect.as_ref().filter(|suspect| suspect.hops > 0);
    vec![
        cell(&group.server).into(),
        cell(&group.route).into(),
        group.kind.as_str().into(),
        group.count.into(),
        group.before.into(),
        group.of_requests.into(),
        rfc3339(group.last_ns).into(),
        examples.into(),
        group.id.as_str().into(),
        group
            .suspect
            .as_ref()
            .map(|suspect| fails_at(suspect, group.agreeing))
            .into(),
        below.map(|suspect| cell(&suspect.what)).into(),
        below.map(|suspect| suspect.id.as_str()).into(),
        rfc3339(group.first_ns).into(),
        cell(&group.client).into(),
    ]
}

/// Where the newest examples failed first, and how many of them where not all did.
fn fails_at(suspect: &Suspect, (agreeing, looked_at): (usize, usize)) -> String {
    let perhaps = if suspect.is_weak { "perhaps " } else { "" };
    let place = match suspect.hops {
        0 => "itself".to_owned(),
        hops => format!("{perhaps}{hops} below: {}", suspect.kind),
    };
    if agreeing == looked_at {
        place
    } else {
        format!("{place} ({agreeing} of {looked_at} examples)")
    }
}
