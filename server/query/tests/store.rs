//! Every question, asked of stores that are made with plain SQL from the schema's own files.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails the test"
)]

#[path = "store/arguments.rs"]
mod arguments;
#[path = "store/connection.rs"]
mod connection;
#[path = "store/coverage.rs"]
mod coverage;
#[path = "store/differences.rs"]
mod differences;
#[path = "store/dns.rs"]
mod dns;
#[path = "store/fixture.rs"]
mod fixture;
#[path = "store/gateways.rs"]
mod gateways;
#[path = "store/groups.rs"]
mod groups;
#[path = "store/header.rs"]
mod header;
#[path = "store/limits.rs"]
mod limits;
#[path = "store/lists.rs"]
mod lists;
#[path = "store/lookup.rs"]
mod lookup;
#[path = "store/opening.rs"]
mod opening;
#[path = "store/paging.rs"]
mod paging;
#[path = "store/row.rs"]
mod row;
#[path = "store/search.rs"]
mod search;
#[path = "store/sql.rs"]
mod sql;
#[path = "store/streams.rs"]
mod streams;
#[path = "store/suggestions.rs"]
mod suggestions;
#[path = "store/tables.rs"]
mod tables;
#[path = "store/tls.rs"]
mod tls;
#[path = "store/transaction.rs"]
mod transaction;

use headwater_query::{Answer, SearchQuery, Store, TimeArgument, WindowArgument};
use tokio_util::sync::CancellationToken;

/// The last hour.
fn hour() -> WindowArgument {
    WindowArgument {
        since: Some(TimeArgument("-1h".to_owned())),
        until: None,
    }
}

fn never() -> CancellationToken {
    CancellationToken::new()
}

fn search_all() -> SearchQuery {
    SearchQuery {
        window: hour(),
        limit: 200,
        ..SearchQuery::default()
    }
}

/// Paths found, in order.
async fn paths(store: &Store, query: &SearchQuery) -> Vec<String> {
    let answer = store.search(query, &never()).await.unwrap();
    paths_of(&answer)
}

fn paths_of(answer: &Answer<Vec<headwater_query::ExchangeRow>>) -> Vec<String> {
    answer
        .value
        .iter()
        .filter_map(|row| row.path.clone())
        .collect()
}
