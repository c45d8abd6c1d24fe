//! Read-only questions to the store.
//!
//! Owns: the only SQL that reads. Does not: write, render, know JSON, MCP or the terminal. Every answer carries the window
//! it is about, how far the data reaches, and the coverage of that window, so that "nothing happened" and "nothing could
//! be seen" are different answers. Reading is synchronous, each question on a thread of its own (`handle`); a query stops when
//! its `CancellationToken` is cancelled or its caller goes away (SQLite's progress handler).
#![forbid(unsafe_code)]

mod answer;
mod chance;
mod compare;
mod connection;
mod containers;
mod correlate;
mod count;
mod coverage;
mod cursor;
mod db;
mod dns;
mod errors;
mod exchange;
mod explanation;
mod failing;
mod gateway;
mod handle;
mod icmp;
mod id;
mod integer;
mod marks;
mod names;
mod newest;
mod open;
mod outcome;
mod page;
mod pool;
mod quantile;
mod recorder;
mod rollup;
mod search;
mod segments;
mod services;
mod slow;
mod snapshot;
mod sql;
mod status;
mod suggestions;
mod syntax;
mod tls;
mod traits;
mod udp;
mod unopened;
mod window;

pub use answer::{Answer, CoverageItem, Emptiness, Recorder, Window};
pub use compare::{Change, CompareQuery, Comparison};
pub use connection::{ConnectionDetail, Element, StoryLine};
pub use containers::ContainersQuery;
pub use correlate::{
    Confidence, Failure, Finding, Hop, Link, Session, SessionQuery, SessionRow, Suspect,
    TransactionQuery,
};
pub use count::Counted;
pub use dns::{DnsQuery, DnsRow};
pub use errors::{ErrorGroup, ErrorsQuery};
pub use exchange::{
    EndDetail, EventStreamDetail, ExchangeDetail, GrpcDetail, HeaderLine, HeaderPage, Http2Detail,
    MessageDetail, ProcessBegin, ProcessExit, Replaced, ResolutionDetail, WebSocketCounts,
    WebSocketDetail,
};
pub use failing::Failing;
pub use handle::{QueryError, Store};
pub use id::{ConnectionId, DnsId, ExchangeId};
pub use marks::Mark;
pub use search::{ExchangeRow, SearchOrder, SearchQuery};
pub use services::{ServiceCall, ServicesQuery};
pub use sql::{SqlQuery, SqlRows, SqlValue, VIEWS, View};
pub use status::{Status, StoreState};
pub use suggestions::{Suggested, Suggestions, SuggestionsQuery};
pub use syntax::Syntax;
pub use udp::{UdpQuery, UdpRow};
pub use window::{TimeArgument, WindowArgument, rfc3339};
