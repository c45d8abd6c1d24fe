//! The Model Context Protocol server, and the tools that it shares with the command line.
//!
//! Owns: what each tool is called, takes and gives; the budget of answers; the escaping of captured text; the transports.
//! Sees `headwater-query` and nothing before it: no SQL, no aya. A tool is one file under `tools`; from its declarations
//! come the input schema, the output schema, the checks of arguments and the options of the command line.
//!
//! Invariant: captured text stands only in fields and columns declared untrusted, escaped and capped, and in the text form
//! only inside the answer's one boundary, whose mark is random.
#![forbid(unsafe_code)]

mod arguments;
mod budget;
mod completion;
mod ending;
mod escape;
mod frame;
mod http;
mod output;
mod progress;
mod prompts;
mod resources;
mod schema;
mod server;
mod stdio;
mod structured;
mod subscriptions;
mod terminal;
mod text;
mod tools;
mod ui;
mod watch;

pub use arguments::{Arguments, Kind, Parameter};
pub use escape::plain;
pub use http::{HttpOptions, ServeError, serve_handlers, serve_http};
pub use output::Output;
pub use prompts::skill_markdown;
pub use stdio::{serve_stdio, serve_stream};
pub use structured::structured;
pub use terminal::terminal;
pub use tools::{Asking, Tool, ToolError, tools_markdown};
