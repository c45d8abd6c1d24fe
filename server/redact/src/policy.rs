//! What is harmless: allow-lists of header names, cookie names and query names, and what the operator opted in.

/// The operator's choices on top of the built-in allow-lists.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Header names (any case) whose values are kept readable (`--keep-header`).
    pub keep_headers: Vec<String>,
}
