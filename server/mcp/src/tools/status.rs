//! `status`: what is recorded, since when, until when, how much, what was lost; the call to begin with.

use headwater_query::{StoreState, rfc3339};

use super::{Asking, Declaration, ToolError};
use crate::{
    Arguments, Output,
    arguments::common::MAX_TOKENS,
    budget::squeeze,
    output::{FactSpec, fact},
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "status",
    title: "Recording status",
    description: "Begin here: whether this machine's traffic is being recorded, since when and until when, how much is kept, what was \
        lost, what cannot be seen and why, and the time now. When nothing is recorded it says what to do about it.",
    parameters: &[MAX_TOKENS],
    facts: FACTS,
    tables: &[],
};

const FACTS: &[FactSpec] = &[
    fact("now", "string"),
    fact("store.path", "string"),
    fact("store.state", "string"),
    fact("store.bytes", "integer"),
    fact("cure", "string"),
    fact("recorded.oldest", "string"),
    fact("recorded.newest", "string"),
    fact("recorded.exchanges", "integer"),
    fact("recorded.connections", "integer"),
    fact("recorded.dns_exchanges", "integer"),
    fact("recorded.udp_flows", "integer"),
    fact("recorded.services", "integer"),
    fact("recorder.source", "string"),
    fact("recorder.started", "string"),
    fact("recorder.version", "string"),
    fact("recorder.settings", "string"),
    fact("kernel_drops", "string"),
];

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let answer = asking.store.status(asking.cancel).await?;
    let mut output = Output::framed(&answer, "");
    let status = &answer.value;
    let state = match status.state {
        StoreState::Readable => "readable",
        StoreState::Missing => "missing",
        StoreState::NotReadable => "not readable by this user",
        StoreState::Older => "written by an older program",
        StoreState::Newer => "written by a newer program",
        StoreState::Damaged => "not a store",
    };
    output.tell(FACTS, "now", rfc3339(status.now_ns));
    output.tell(FACTS, "store.path", crate::escape::value(&status.path));
    output.tell(FACTS, "store.state", state);
    output.tell(FACTS, "cure", status.cure.clone());
    if status.state == StoreState::Readable || status.state == StoreState::Older {
        output.tell(FACTS, "recorded.oldest", status.oldest_ns.map(rfc3339));
        output.tell(FACTS, "recorded.newest", status.newest_ns.map(rfc3339));
        output.tell(FACTS, "recorded.exchanges", status.exchanges);
        output.tell(FACTS, "recorded.connections", status.connections);
        output.tell(FACTS, "recorded.dns_exchanges", status.dns_exchanges);
        output.tell(FACTS, "recorded.udp_flows", status.udp_flows);
        output.tell(FACTS, "recorded.services", status.services);
        output.tell(FACTS, "store.bytes", status.store_bytes);
        output.tell(FACTS, "recorder.source", status.source.clone());
        output.tell(
            FACTS,
            "recorder.started",
            status.recorder_started_ns.map(rfc3339),
        );
        output.tell(FACTS, "recorder.version", status.recorder_version.clone());
        output.tell(FACTS, "recorder.settings", status.settings.clone());
        let drops: Vec<_> = status
            .kernel_drops
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        // None is no news.
        let told = (!drops.is_empty())
            .then(|| format!("since the recorder started: {}", drops.join(", ")));
        output.tell(FACTS, "kernel_drops", told);
        output.notes.push("bodies are never kept; TLS of libraries that are not read (coverage names them), QUIC, UDP other than DNS and Unix sockets are not seen by this version; values in braces such as {bearer:9f31c0aa12bb34cd:812} are keyed hashes, equal where the values were equal".to_owned());
    }
    Ok(squeeze(output, arguments.max_tokens()))
}
