//! The recorder: probes in, store out.
//!
//! Owns: the two threads (one reads the ring buffer and assembles, one writes), the bounded queue between them, and the
//! accounts of what was lost. A full queue drops and counts; it never blocks the reader.

mod accounts;
mod decode;
mod identity;
mod listener;
mod priority;
mod queue;
mod reader;
mod service;
mod session;

pub(crate) use session::{Session, SessionError, SessionSettings, apply, open_store};
