//! The nouns on the arrow from assembly (and the recorder's own observations) to the store.
//!
//! Owns: `Process`, `Service`, `ConnectionEnd`, `Connection`, `TcpEnd`, `Exchange`, `DnsExchange`, `UdpFlow`, `Coverage` and the enums they are told in.
//! All captured text in them has a type that only `headwater-redact` builds. Does not: know SQL, JSON, sockets or clocks.
//! Times are named `_ns`: on the arrow to the store nanoseconds since the Unix epoch, from the boot clock plus the wall-clock
//! offset in force; as the assembly of live traffic gives them, nanoseconds on the boot clock.
#![forbid(unsafe_code)]

mod connection;
mod coverage;
mod dns;
mod drops;
mod event;
mod event_stream;
mod exchange;
mod http2;
mod icmp;
mod process;
mod tcp;
mod tls;
mod udp_flow;
mod websocket;

pub use connection::{
    CloseReason, Connection, ConnectionEnd, ConnectionKey, PacketDrop, Proxied, Side,
};
pub use coverage::{Coverage, CoverageKind};
pub use dns::{
    AskedBy, DnsAnswer, DnsExchange, DnsKey, DnsOutcome, DnsQuestion, Resolution, Transport,
};
pub use drops::KernelDrops;
pub use event::Event;
pub use event_stream::EventStream;
pub use exchange::{
    Evidence, Exchange, ExchangeKey, Gaps, Grpc, Http2, Http2Error, Message, Messages, Outcome,
    Request, Response,
};
pub use http2::{GoAway, Http2Connection, Http2End, Http2Settings};
pub use icmp::{IcmpError, IcmpErrors, IcmpKind, IcmpKinds};
pub use process::{ExitStatus, Process, ProcessEnd, ProcessKey, Service, ServiceKind};
pub use tcp::{Extensions, Handshake, IpHeader, Negotiated, SegmentCounts, SocketStats, TcpEnd};
pub use tls::{Tls, TlsAlert, TlsCertificate, TlsClientCertificate, TlsFailure, TlsResumption};
pub use udp_flow::{Quic, UdpCount, UdpFlow, UdpFlowKey};
pub use websocket::{WebSocket, WebSocketEnding, WebSocketTally};
