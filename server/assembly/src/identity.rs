//! Who is at an end: asked of somebody who may look into `/proc`, which this crate may not.

use std::net::SocketAddr;

use headwater_model::{Evidence, Process, ProcessKey, Service};

use crate::Owner;

/// A process behind an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The process.
    pub key: ProcessKey,
    /// Its service, without a port.
    pub service: Service,
    /// How it was found.
    pub evidence: Evidence,
    /// Whether it is Headwater itself, whose own traffic is left out.
    pub own: bool,
    /// Set the first time that this process is named.
    pub news: Option<Box<Process>>,
}

/// Answers questions about processes.
pub trait Identities {
    /// The process that the kernel named as a socket's owner.
    fn owner(&mut self, owner: &Owner) -> Option<Identity>;
    /// The process that listened at an address of a namespace when a connection began (boot clock), for connections whose server
    /// never sent anything.
    fn listener(&mut self, netns: u32, local: SocketAddr, at_ns: u64) -> Option<Identity>;
    /// A process was seen to answer at an address of a namespace: it may be asked for by `listener`.
    fn served(&mut self, _netns: u32, _local: SocketAddr, _process: ProcessKey) {}
}

/// For capture files: nobody is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoIdentities;

impl Identities for NoIdentities {
    fn owner(&mut self, _: &Owner) -> Option<Identity> {
        None
    }
    fn listener(&mut self, _: u32, _: SocketAddr, _: u64) -> Option<Identity> {
        None
    }
}
