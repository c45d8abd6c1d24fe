//! Raw sockets that hear of errors of ICMP, in the network namespace of the thread that opens them.
//!
//! Owns: opening and reading. A filter of classic BPF in front of each lets through errors alone, so that what else a busy
//! machine is sent (answers to pings, neighbours) costs nothing here. What comes faster than it is read is dropped and
//! counted by the kernel (SO_RXQ_OVFL).

use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use etherparse::{LaxIpSlice, checksum::Sum16BitWords};
use headwater_assembly::IcmpMessage;
use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt,
    sockopt::{ReceiveTimestampns, RxqOvfl},
};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::clock::{boot_of, now_ns};
use crate::icmp::{self, ERRORS, ERRORS_6};

/// For messages that wait: some hundred.
const BUFFER_BYTES: usize = 128 << 10;
/// The longest message: one of ICMPv6 (RFC 4443, section 2.4).
const MESSAGE_BYTES: usize = 1280;

/// Which of the two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// ICMP.
    Four,
    /// ICMPv6.
    Six,
}

/// One socket.
pub(super) struct RawSocket {
    pub(super) family: Family,
    socket: Socket,
    /// Messages dropped so far, as the kernel counts them, and as told.
    dropped: u32,
    told: u32,
}

/// What was read.
pub(super) enum Received {
    /// Nothing has come.
    Nothing,
    /// An error about TCP or UDP.
    Error(IcmpMessage),
    /// About something else.
    Other,
    /// Damaged.
    Malformed,
}

/// Both sockets of this thread's namespace, or the one that this kernel has.
///
/// # Errors
/// In words, when there is neither.
pub(super) fn open() -> Result<Vec<RawSocket>, String> {
    let (four, six) = (open_one(Family::Four), open_one(Family::Six));
    match (four, six) {
        (Ok(four), Ok(six)) => Ok(vec![four, six]),
        (Ok(one), Err(error)) | (Err(error), Ok(one)) => {
            // A kernel without one of them has no connections over it.
            tracing::debug!(%error, "one of the raw sockets for ICMP could not be opened");
            Ok(vec![one])
        }
        (Err(error), Err(_)) if error.kind() == io::ErrorKind::PermissionDenied => Err(format!(
            "no raw socket may be opened without CAP_NET_RAW ({error})"
        )),
        (Err(error), Err(_)) => Err(format!("no raw socket could be opened: {error}")),
    }
}

/// Opens them and closes them again.
///
/// # Errors
/// As `open`.
pub(crate) fn try_to_open() -> Result<(), String> {
    open().map(drop)
}

fn open_one(family: Family) -> io::Result<RawSocket> {
    let (domain, protocol) = match family {
        Family::Four => (Domain::IPV4, Protocol::ICMPV4),
        Family::Six => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.attach_filter(&filter(family))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(BUFFER_BYTES)?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    setsockopt(&socket, RxqOvfl, &1)?;
    Ok(RawSocket {
        family,
        socket,
        dropped: 0,
        told: 0,
    })
}

/// Errors alone. A raw socket of IPv4 is given packets from their IP header on, one of IPv6 without it.
fn filter(family: Family) -> Vec<SockFilter> {
    // Classic BPF (linux/bpf_common.h): X = length of the IP header at 0; A = byte at X + 0; A = byte at 0; return.
    const IP_HEADER_TO_X: u16 = 0xb1;
    const BYTE_BEHIND_X: u16 = 0x50;
    const BYTE_AT: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let (mut program, errors) = match family {
        Family::Four => (
            vec![
                SockFilter::new(IP_HEADER_TO_X, 0, 0, 0),
                SockFilter::new(BYTE_BEHIND_X, 0, 0, 0),
            ],
            ERRORS,
        ),
        Family::Six => (vec![SockFilter::new(BYTE_AT, 0, 0, 0)], ERRORS_6),
    };
    // Behind the comparisons stand "none" and then "all of it".
    let mut left = u8::try_from(errors.len()).unwrap_or(0);
    for kind in errors {
        program.push(SockFilter::new(JUMP_IF_EQUAL, left, 0, kind.into()));
        left -= 1;
    }
    program.push(SockFilter::new(RETURN, 0, 0, 0));
    program.push(SockFilter::new(RETURN, 0, 0, u32::MAX));
    program
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl RawSocket {
    /// Reads one message.
    pub(super) fn receive(&mut self, netns: u32) -> Received {
        let mut bytes = [0; MESSAGE_BYTES];
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        let mut control = cmsg_space!(TimeSpec, u32);
        let read = recvmsg::<SockaddrIn6>(
            self.socket.as_raw_fd(),
            &mut buffers,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        );
        // Mostly EAGAIN; no other error says that there is more.
        let Ok(message) = read else {
            return Received::Nothing;
        };
        let mut came_ns = now_ns();
        for control in message.cmsgs().into_iter().flatten() {
            match control {
                ControlMessageOwned::ScmTimestampns(stamp) => came_ns = nanoseconds(stamp),
                ControlMessageOwned::RxqOvfl(dropped) => self.dropped = dropped,
                _ => {}
            }
        }
        let (length, from) = (message.bytes, message.address);
        // The stamp is of the wall clock; it is moments old.
        let at_ns = boot_of(came_ns);
        let Some(bytes) = bytes.get(..length) else {
            return Received::Malformed;
        };
        let read = match self.family {
            Family::Four => four(at_ns, netns, bytes),
            Family::Six => from.map(|from| icmp::read(at_ns, netns, IpAddr::V6(from.ip()), bytes)),
        };
        match read {
            Some(icmp::Read::Error(message)) => Received::Error(message),
            Some(icmp::Read::Other) => Received::Other,
            Some(icmp::Read::Malformed) | None => Received::Malformed,
        }
    }

    /// How many messages the kernel dropped since last asked.
    pub(super) fn news_of_dropped(&mut self) -> u64 {
        let news = self.dropped.wrapping_sub(self.told);
        self.told = self.dropped;
        news.into()
    }
}

/// A packet of IPv4. Raw sockets of IPv6 are given what has the right checksum, those of IPv4 everything.
fn four(at_ns: u64, netns: u32, packet: &[u8]) -> Option<icmp::Read> {
    let (LaxIpSlice::Ipv4(ip), _) = LaxIpSlice::from_slice(packet).ok()? else {
        return None;
    };
    let message = ip.payload();
    let sum = Sum16BitWords::new().add_slice(message.payload);
    if !message.incomplete && sum.ones_complement() != 0 {
        return None;
    }
    let from = ip.header().source_addr().into();
    Some(icmp::read(at_ns, netns, from, message.payload))
}

fn nanoseconds(stamp: TimeSpec) -> u64 {
    let seconds = u64::try_from(stamp.tv_sec()).unwrap_or(0);
    let rest = u64::try_from(stamp.tv_nsec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}
