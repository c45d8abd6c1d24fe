//! How a call was used: how many messages went each way.
//!
//! Owns: the four kinds. Refuses: to know the method's declaration: a call of a streaming method that happens to send one
//! message each way looks unary.

/// The kind of a call, as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// At most one message each way.
    Unary,
    /// More than one request: the method is client streaming or bidirectional.
    ClientStreaming,
    /// More than one response: the method is server streaming or bidirectional.
    ServerStreaming,
    /// More than one each way: the method is bidirectional, of that there is no doubt.
    Bidirectional,
}

/// The kind of a call that sent so many `requests` and `responses` so far.
pub fn kind_seen(requests: u64, responses: u64) -> Kind {
    match (requests > 1, responses > 1) {
        (false, false) => Kind::Unary,
        (true, false) => Kind::ClientStreaming,
        (false, true) => Kind::ServerStreaming,
        (true, true) => Kind::Bidirectional,
    }
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ClientStreaming => "client_streaming",
            Self::ServerStreaming => "server_streaming",
            Self::Bidirectional => "bidi",
        }
    }
}
