//! The recorder: probes in, store out.
//!
//! Owns: the recorder's thread, which drains the ring buffer, assembles and writes, so that what it handles stays in one
//! processor's caches; the threads that commit and that move the store's log; and the accounts of what was lost. What the recorder does
//! not keep up with is lost in one place, the ring buffer, where it is counted.

mod accounts;
pub(crate) mod capabilities;
mod committer;
mod decode;
mod icmp;
mod identity;
mod libraries;
mod lineage;
mod listener;
mod priority;
mod recorder;
mod service;
mod session;

pub(crate) use icmp::try_to_open;
pub(crate) use libraries::TlsFilter;
pub(crate) use session::{HeaderSettings, Session, SessionError, SessionSettings, open_store};
