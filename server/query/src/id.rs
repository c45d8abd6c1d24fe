//! Printable ids: `x_` or `c_`, four characters that name the store, then the number in Crockford's base 32.

/// An exchange's id in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeId(pub u64);

/// A connection's id in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionId(pub u64);
