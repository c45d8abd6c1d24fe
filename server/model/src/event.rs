//! What the assembly gives out and the store takes.

use crate::{
    Connection, Coverage, DnsExchange, Exchange, KernelDrops, Process, ProcessEnd, UdpFlow,
};

/// One thing to store. A connection or process comes before the first exchange that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A connection, new or changed.
    Connection(Box<Connection>),
    /// Something not seen.
    Coverage(Coverage),
    /// A DNS exchange that ended.
    Dns(Box<DnsExchange>),
    /// An exchange, ended or (as `Outcome::Open`) in the making.
    Exchange(Box<Exchange>),
    /// What the kernel dropped since it was last told.
    KernelDrops(KernelDrops),
    /// A process, before its first connection.
    Process(Box<Process>),
    /// A process that was told of has ended; before the exchanges that this ends.
    ProcessEnd(ProcessEnd),
    /// A UDP flow, new or changed.
    UdpFlow(Box<UdpFlow>),
}

impl Event {
    /// When what it tells of began: the first byte of an exchange, the first packet of a connection, an interval's start;
    /// a process and its end; `None` for a process whose beginning is not known.
    pub fn start_ns(&self) -> Option<u64> {
        match self {
            Self::Connection(connection) => Some(connection.start_ns),
            Self::Coverage(coverage) => Some(coverage.from_ns),
            Self::Dns(exchange) => Some(exchange.start_ns),
            Self::Exchange(exchange) => Some(exchange.start_ns()),
            Self::UdpFlow(flow) => Some(flow.start_ns),
            Self::KernelDrops(drops) => Some(drops.until_ns),
            Self::Process(process) => Some(process.start_ns).filter(|start_ns| *start_ns != 0),
            Self::ProcessEnd(end) => Some(end.at_ns),
        }
    }

    /// Moves every time in it to a later one, from the boot clock to the wall clock. Zero, which stands for not known,
    /// stays.
    pub fn move_later(&mut self, by_ns: u64) {
        let later = |at_ns: &mut u64| {
            if *at_ns != 0 {
                *at_ns = at_ns.saturating_add(by_ns);
            }
        };
        match self {
            Self::Connection(connection) => {
                later(&mut connection.start_ns);
                connection.end_ns.iter_mut().for_each(later);
                connection.client_tcp.move_later(later);
                connection.server_tcp.move_later(later);
                connection
                    .drops
                    .iter_mut()
                    .for_each(|drops| later(&mut drops.first_ns));
                if let Some(http2) = &mut connection.http2 {
                    http2.move_later(later);
                }
                if let Some(icmp) = &mut connection.icmp {
                    icmp.move_later(later);
                }
                if let Some(tls) = &mut connection.tls {
                    tls.move_later(later);
                }
            }
            Self::Coverage(coverage) => {
                later(&mut coverage.from_ns);
                later(&mut coverage.until_ns);
            }
            Self::KernelDrops(drops) => later(&mut drops.until_ns),
            Self::Dns(exchange) => {
                later(&mut exchange.start_ns);
                if let Some(answer) = &mut exchange.answer {
                    later(&mut answer.at_ns);
                }
                if let Some(icmp) = &mut exchange.icmp {
                    later(&mut icmp.at_ns);
                }
                later(&mut exchange.end_ns);
            }
            Self::UdpFlow(flow) => {
                later(&mut flow.start_ns);
                later(&mut flow.last_ns);
                if let Some(icmp) = &mut flow.icmp {
                    icmp.move_later(later);
                }
            }
            Self::Exchange(exchange) => {
                let request = exchange.request.as_mut().map(|part| &mut part.message);
                let response = exchange.response.as_mut().map(|part| &mut part.message);
                for message in request.into_iter().chain(response) {
                    later(&mut message.first_byte_ns);
                    message.last_byte_ns.iter_mut().for_each(later);
                }
                if let Some(websocket) = &mut exchange.websocket {
                    websocket.first_message_ns.iter_mut().for_each(later);
                    websocket.last_message_ns.iter_mut().for_each(later);
                }
                if let Some(events) = &mut exchange.event_stream {
                    events.first_event_ns.iter_mut().for_each(later);
                    events.last_event_ns.iter_mut().for_each(later);
                }
                later(&mut exchange.end_ns);
            }
            Self::Process(process) => {
                later(&mut process.start_ns);
                process.executed_ns.iter_mut().for_each(later);
            }
            Self::ProcessEnd(end) => later(&mut end.at_ns),
        }
    }
}
