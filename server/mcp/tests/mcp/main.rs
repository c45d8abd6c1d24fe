//! The tools as clients meet them: declarations, budgets, transports and hostile text.
#![allow(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails the test"
)]

mod arguments;
mod budget;
mod client;
mod completion;
mod connection;
mod dns;
mod fixture;
mod hostile;
mod http;
mod legacy_sse;
mod output;
mod page;
mod paging;
mod progress;
mod prompts;
mod resources;
mod schemas;
mod subscriptions;
mod subscriptions_http;
mod tools_page;
mod waiting;
mod wire;
