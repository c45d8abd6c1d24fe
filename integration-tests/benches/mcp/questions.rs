//! What is asked: of the load of `look_ups`, anywhere in the store.

use headwater_query::{
    ErrorsQuery, SearchQuery, ServicesQuery, Store, TimeArgument, TransactionQuery, WindowArgument,
    rfc3339,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// As the load has them (`server/query/benches/look_ups/load.rs`); what finds nothing is noticed.
const START: u64 = 1_700_000_000_000_000_000;
const STEP_NS: u64 = 20_000;
const HOPS: u64 = 3;

fn trace_of(chain: u64) -> u128 {
    let mixed = (chain + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u128::from(mixed) << 64 | u128::from(mixed.rotate_left(31) ^ 0xabcd_1234_5678_9abc)
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) tool: &'static str,
    pub(crate) arguments: Value,
}

pub(crate) const TOOLS: [&str; 5] = [
    "trace_transaction",
    "get_exchange",
    "search_exchanges",
    "find_errors",
    "list_services",
];
/// Of those that have an id, or a time.
const DIFFERENT: u64 = 400;

/// Questions to one tool, in no order that the store has. The ids of exchanges are those that `ids` has.
pub(crate) fn to(tool: &'static str, size: u64, ids: &[String]) -> Vec<Question> {
    let all = json!({ "since": rfc3339(START) });
    (0..DIFFERENT)
        .map(|number| {
            let place = number * 7_919 + 13;
            let arguments = match tool {
                "trace_transaction" => {
                    let chain = place * 31 % (size / HOPS);
                    json!({ "id": format!("{:032x}", trace_of(chain)) })
                }
                "get_exchange" => {
                    let at = usize::try_from(place).unwrap() % ids.len().max(1);
                    json!({ "id": ids.get(at) })
                }
                // The failures of one second, in which 50,000 exchanges began.
                "search_exchanges" => {
                    let second = place % (size * STEP_NS / 1_000_000_000);
                    let since = START + second * 1_000_000_000;
                    let until = rfc3339(since + 1_000_000_000);
                    json!({ "since": rfc3339(since), "until": until, "status": "5xx" })
                }
                _ => all.clone(),
            };
            Question { tool, arguments }
        })
        .collect()
}

/// What an answer of each has when it is one.
pub(crate) fn assert_answered(question: &Question, answer: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    let mark = match question.tool {
        "trace_transaction" | "find_errors" | "search_exchanges" => "503",
        "get_exchange" => "/orders",
        _ => "gateway",
    };
    let is_error = !text.contains(r#""isError":false"#);
    let rare = question.tool == "trace_transaction";
    let found = text.contains(mark) || rare && text.matches("/orders").count() >= 3;
    assert!(found && !is_error, "{question:?}: {text}");
}

/// The same, asked without a server in between.
pub(crate) async fn ask(store: &Store, question: &Question) {
    let cancel = CancellationToken::new();
    let text = |name: &str| question.arguments[name].as_str().map(str::to_owned);
    let time = |name: &str| text(name).map(TimeArgument);
    let (window, limit) = (
        WindowArgument {
            since: time("since"),
            until: time("until"),
        },
        20,
    );
    let id = text("id").unwrap_or_default();
    match question.tool {
        "trace_transaction" => {
            let query = TransactionQuery { id, limit };
            store.transaction(&query, &cancel).await.map(drop)
        }
        "get_exchange" => store.exchange(&id, &cancel).await.map(drop),
        "search_exchanges" => {
            let query = SearchQuery {
                window,
                status: text("status"),
                limit,
                ..SearchQuery::default()
            };
            store.search(&query, &cancel).await.map(drop)
        }
        "find_errors" => {
            let query = ErrorsQuery {
                window,
                limit,
                ..ErrorsQuery::default()
            };
            store.errors(&query, &cancel).await.map(drop)
        }
        _ => {
            let query = ServicesQuery {
                window,
                limit,
                ..ServicesQuery::default()
            };
            store.services(&query, &cancel).await.map(drop)
        }
    }
    .unwrap();
}
