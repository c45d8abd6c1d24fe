//! What the tests on real traffic share: programs that die with their test, a store with its recorder, real servers.
//!
//! Owns: starting and awaiting other processes. Decides nothing about Headwater: what is right stands in `tests/`.
//! Nothing sleeps for a fixed time where an event can be awaited, and every wait has a deadline that panics with
//! what was seen so far.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a support library for tests: a panic is its verdict"
)]

mod capture;
mod cgroup;
mod corpora;
mod link;
mod netns;
mod program;
mod scratch;
mod servers;
mod store;
mod stranger;
mod tshark;
mod wait;

pub use capture::{Container, Link, Order, capture, conversation, fast_open};
pub use cgroup::{Cgroup, cgroup_mount};
pub use corpora::{captures, corpora};
pub use link::lossy;
pub use netns::{Namespace, joined, sh};
pub use program::{Program, run, said};
pub use scratch::Scratch;
pub use servers::{
    Front, Nginx, REKEY, certificate, certificate_of, free_port, node_folder, node_server, python,
    python_server, serve_once,
};
pub use store::{Store, address_of, column, headwater, reachable};
pub use stranger::stranger;
pub use tshark::tshark_on_loopback;
pub use wait::{DEADLINE, until, until_within};
