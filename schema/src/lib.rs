//! The contracts that more than one part of Headwater must agree on.
//!
//! Owns: the records that the probes write and the recorder reads (`record`), the flow state that both sides look at
//! (`flow`, and `session` for TLS libraries), the latency histogram of roll-up rows (`latency`), and, beside this crate's sources, the SQL of the store
//! (`migrations/`). Depends on nothing. `no_std`, since half of its readers run in the kernel.
#![no_std]
#![forbid(unsafe_code)]

pub mod flow;
pub mod latency;
pub mod record;
pub mod session;
