//! `replay`: the same pipeline from capture files, with no privileges.
//!
//! Owns: reading pcap and pcapng, taking packets apart, and telling the assembly of them as a probe would: each sender's
//! packets are that sender's egress. The same file twice adds nothing (its hash is in the store). Does not reassemble.

mod count;
mod file;
mod packet;
mod track;

pub(crate) use file::CaptureReader;
pub(crate) use packet::{Frame, take_apart};
pub(crate) use track::{Tracker, take_datagram};
