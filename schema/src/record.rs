//! The records that probes write into the ring buffer, and the recorder reads.
//!
//! Owns: their layout. Each begins with `Header`, whose `kind`, `version` and `length` let an older reader skip what it
//! does not know. Fields are plain integers in host order (kernel and reader are one machine), arrays hold network order
//! addresses. Decoding copies from a length-checked slice; nothing here is ever cast from bytes.
//!
//! Invariant: no implicit padding (the size assertions and the cut-point tests hold that).

/// Version of this layout; a reader refuses records of another.
pub const VERSION: u16 = 5;

/// What a record tells. The value of `Header::kind`.
pub mod kind {
    /// A SYN or SYN-ACK was seen: `SynRecord` and the copied headers. A SYN-ACK carries the listener's cookie.
    pub const SYN: u16 = 1;
    /// First payload packet of one direction of a flow: `EndRecord`, before its `TURN`.
    pub const OPEN: u16 = 2;
    /// A payload packet inside the copy window of its turn: `TurnRecord` and the copied bytes.
    pub const TURN: u16 = 3;
    /// FIN or RST was seen: `EndRecord`. A RST may carry the cookie of a control socket.
    pub const CLOSE: u16 = 4;
    /// The owner of a socket was learned or has changed: `OwnerRecord`.
    pub const OWNER: u16 = 5;
    /// A socket reached TCP_CLOSE: `SocketRecord`.
    pub const SOCKET: u16 = 6;
    /// A process called execve: `ExecRecord`.
    pub const EXEC: u16 = 7;
    /// A UDP datagram that is looked into, or the first of a flow: `DatagramRecord` and the copied bytes.
    pub const DATAGRAM: u16 = 8;
    /// The process that sends from a UDP socket: `OwnerRecord`, before the datagram that shows it.
    pub const DATAGRAM_OWNER: u16 = 9;
    /// A process ended: `ExitRecord`.
    pub const EXIT: u16 = 10;
    /// The kernel dropped a packet of TCP: `DropRecord`.
    pub const DROP: u16 = 11;
    /// A keep-alive or a probe of a closed window was seen: `IdleRecord`, a few in a second at most for each direction.
    pub const IDLE: u16 = 12;
    /// Plaintext that passed a TLS library: `TurnRecord` and the copied bytes, with the session's id instead of a cookie.
    pub const PLAINTEXT: u16 = 13;
    /// A TLS session was first seen, or its socket became known: `SessionRecord`.
    pub const SESSION: u16 = 14;
    /// The library was told to forget a TLS session: `SessionRecord`.
    pub const SESSION_END: u16 = 15;
    /// The headers of a packet, for `headwater packets` alone: `HeadersRecord` and the copied bytes.
    pub const HEADERS: u16 = 20;
}

/// `look` of a datagram: why it is told.
pub mod look {
    /// It is the first of its flow; nothing of it was copied.
    pub const FLOW: u8 = 0;
    /// Its port or its first bytes are those of DNS.
    pub const DNS: u8 = 1;
    /// It begins with the long header of QUIC (RFC 9000, section 17.2).
    pub const QUIC: u8 = 2;
}

/// `direction` of a packet, seen from the socket that the cookie names.
pub mod direction {
    /// The socket sent it.
    pub const EGRESS: u8 = 0;
    /// The socket received it.
    pub const INGRESS: u8 = 1;
}

/// `owned` of a turn or owner: what is known of the socket's lock at that moment.
pub mod owned {
    /// Softirq, a timer or somebody else's task sent it.
    pub const NO: u8 = 0;
    /// A task held this socket's lock: the current task is its user.
    pub const YES: u8 = 1;
    /// The kernel's types are not known, so the lock cannot be read.
    pub const UNKNOWN: u8 = 2;
}

/// Bits of a session's `facts`.
pub mod session_fact {
    /// Its socket had sent nothing but a handshake when it became known: nothing of the session passed before.
    pub const NEW: u32 = 1;
    /// What was written ends with the last chunk of a chunked body (RFC 9112, section 7.1) that was not copied.
    pub const EGRESS_LAST_CHUNK: u32 = 1 << 1;
    /// The same of what was read.
    pub const INGRESS_LAST_CHUNK: u32 = 1 << 2;
    /// Its socket is sure: it sent there what had been written to it. Without this its thread only sent something there.
    pub const SURE: u32 = 1 << 3;
}

/// `place` of a turn record: what its bytes begin.
pub mod place {
    /// They go on with a turn.
    pub const SAME_TURN: u8 = 0;
    /// They begin a turn.
    pub const NEW_TURN: u8 = 1;
    /// HTTP/2: they begin with a frame's header (or are the client's connection preface).
    pub const FRAME: u8 = 2;
    /// HTTP/2: they go on with a frame.
    pub const IN_FRAME: u8 = 3;
    /// WebSocket: they begin with a frame's header.
    pub const WEBSOCKET_FRAME: u8 = 4;
    /// WebSocket: they go on with a frame.
    pub const IN_WEBSOCKET_FRAME: u8 = 5;
}

/// Bits of `SocketRecord::known`, one for each field that is read by its place in the kernel's structures.
pub mod socket_field {
    /// `soft_error`
    pub const SOFT_ERROR: u32 = 1;
    /// `bytes_acked`
    pub const BYTES_ACKED: u32 = 1 << 1;
    /// `bytes_received`
    pub const BYTES_RECEIVED: u32 = 1 << 2;
    /// `bytes_retrans`
    pub const BYTES_RETRANS: u32 = 1 << 3;
    /// `srtt_us`
    pub const SRTT: u32 = 1 << 4;
    /// `rtt_min_us`
    pub const RTT_MIN: u32 = 1 << 5;
    /// `total_retrans`
    pub const TOTAL_RETRANS: u32 = 1 << 6;
    /// `segs_in`
    pub const SEGS_IN: u32 = 1 << 7;
    /// `segs_out`
    pub const SEGS_OUT: u32 = 1 << 8;
    /// `data_segs_in`
    pub const DATA_SEGS_IN: u32 = 1 << 9;
    /// `data_segs_out`
    pub const DATA_SEGS_OUT: u32 = 1 << 10;
    /// `rcv_ooopack`
    pub const RCV_OOOPACK: u32 = 1 << 11;
    /// `dsack_dups`
    pub const DSACK_DUPS: u32 = 1 << 12;
    /// `reord_seen`
    pub const REORD_SEEN: u32 = 1 << 13;
    /// `delivered_ce`
    pub const DELIVERED_CE: u32 = 1 << 14;
    /// `mss_cache`
    pub const MSS_CACHE: u32 = 1 << 15;
    /// `rx_opt`
    pub const RX_OPT: u32 = 1 << 16;
    /// `ecn_flags`
    pub const ECN_FLAGS: u32 = 1 << 17;
    /// `icsk_retransmits`
    pub const ICSK_RETRANSMITS: u32 = 1 << 18;
    /// `error`, without which the end of a socket does not say why.
    pub const ERROR: u32 = 1 << 19;
}

/// Bits of `SocketRecord::rx_opt`: what both ends agreed on in their handshake (struct tcp_options_received, the same since
/// Linux 4.11; on a machine whose bit fields begin with the lowest bit).
pub mod negotiated {
    /// Timestamps (RFC 7323).
    pub const TIMESTAMPS: u16 = 1 << 1;
    /// Window scaling (RFC 7323).
    pub const WINDOW_SCALE: u16 = 1 << 3;
    /// Selective acknowledgements (RFC 2018): any of three bits.
    pub const SACK: u16 = 7 << 4;
}

/// Flags of TCP (RFC 9293, section 3.1) as they stand in the header.
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
}

/// Declares a `repr(C)` record of integers and byte arrays with its size, and its decoding by copying.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident, $size:literal { $($(#[$fmeta:meta])* $field:ident : $kind:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $kind,)+ }
        const _: () = assert!(size_of::<$name>() == $size);
        impl $name {
            /// Bytes of the record.
            pub const SIZE: usize = $size;
            /// Copies the record out of the front of `bytes`; `None` when they are too few.
            pub fn decode(bytes: &[u8]) -> Option<Self> {
                let mut rest = bytes;
                $(let $field = <$kind as Field>::take(&mut rest)?;)+
                Some(Self { $($field,)+ })
            }
            /// Writes the record's bytes to `out` and returns how many: for tests and replay of records.
            pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
                let mut at = 0;
                $(at += self.$field.put(out.get_mut(at..)?)?;)+
                Some(at)
            }
        }
        impl Field for $name {
            fn take(rest: &mut &[u8]) -> Option<Self> {
                let value = Self::decode(rest)?;
                *rest = rest.get(Self::SIZE..)?;
                Some(value)
            }
            fn put(&self, out: &mut [u8]) -> Option<usize> {
                self.encode(out)
            }
        }
    };
}

trait Field: Sized {
    fn take(rest: &mut &[u8]) -> Option<Self>;
    fn put(&self, out: &mut [u8]) -> Option<usize>;
}

macro_rules! integer_field {
    ($($kind:ty),+) => { $(impl Field for $kind {
        fn take(rest: &mut &[u8]) -> Option<Self> {
            let (head, tail) = rest.split_first_chunk()?;
            *rest = tail;
            Some(Self::from_ne_bytes(*head))
        }
        fn put(&self, out: &mut [u8]) -> Option<usize> {
            let bytes = self.to_ne_bytes();
            out.get_mut(..bytes.len())?.copy_from_slice(&bytes);
            Some(bytes.len())
        }
    })+ };
}
integer_field!(u8, u16, u32, u64, i32);

impl<const N: usize> Field for [u8; N] {
    fn take(rest: &mut &[u8]) -> Option<Self> {
        let (head, tail) = rest.split_first_chunk()?;
        *rest = tail;
        Some(*head)
    }
    fn put(&self, out: &mut [u8]) -> Option<usize> {
        out.get_mut(..N)?.copy_from_slice(self);
        Some(N)
    }
}

impl<const N: usize> Field for [u32; N] {
    fn take(rest: &mut &[u8]) -> Option<Self> {
        let mut all = [0; N];
        for one in &mut all {
            *one = u32::take(rest)?;
        }
        Some(all)
    }
    fn put(&self, out: &mut [u8]) -> Option<usize> {
        let mut at = 0;
        for one in self {
            at += one.put(out.get_mut(at..)?)?;
        }
        Some(at)
    }
}

record! {
    /// The front of every record.
    Header, 24 {
        /// One of `kind`.
        kind: u16,
        /// `VERSION`.
        version: u16,
        /// Bytes of the record that mean something, this header included.
        length: u32,
        /// Boot clock (CLOCK_BOOTTIME), nanoseconds.
        at_ns: u64,
        /// Socket cookie; 0 where there is no socket.
        cookie: u64,
    }
}

record! {
    /// One end of a connection and the packet that told of it: `OPEN`, `CLOSE`, and the front of `SYN`.
    EndRecord, 112 {
        /// Front.
        header: Header,
        /// Address of the socket; IPv4 in the first four bytes.
        local: [u8; 16],
        /// Address of its peer.
        remote: [u8; 16],
        /// Port of the socket.
        local_port: u16,
        /// Port of its peer.
        remote_port: u16,
        /// 4 or 6.
        family: u8,
        /// `direction`.
        direction: u8,
        /// `tcp_flag` set.
        flags: u8,
        /// Time to live or hop limit.
        ttl: u8,
        /// Inode of the network namespace; 0 when unknown.
        netns: u32,
        /// Interface index.
        ifindex: u32,
        /// Id of the socket's cgroup (the inode of its folder); 0 when unknown.
        cgroup_id: u64,
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Payload bytes of this direction up to here, `CLOSE` only.
        offset: u64,
        /// When the last payload byte of this direction passed, `CLOSE` only; 0 when none did.
        last_ns: u64,
        /// The first bytes of the IP header: of IPv4 the type of service and the flags (RFC 791), of IPv6 the traffic class
        /// and the flow label (RFC 8200); zeros when they could not be read.
        ip: [u8; 8],
    }
}

record! {
    /// A SYN or SYN-ACK, followed by `captured` bytes of it from the IP header on.
    SynRecord, 120 {
        /// What every such packet tells.
        end: EndRecord,
        /// Bytes copied behind this record: the headers, and what payload there is room for.
        captured: u32,
        /// Zero.
        reserved: u32,
    }
}

record! {
    /// A payload packet in the copy window of its turn, followed by `captured` bytes.
    TurnRecord, 72 {
        /// Front.
        header: Header,
        /// Process (thread group) on whose behalf it was sent; egress only, else 0.
        tgid: u32,
        /// Thread; egress only, else 0.
        tid: u32,
        /// Payload bytes of this direction before this packet, since the flow was first seen.
        offset: u64,
        /// When the last payload byte before this packet passed in this direction; 0 when none did.
        previous_ns: u64,
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Payload bytes of the packet; of some of its frames, where they are told by themselves.
        payload_length: u32,
        /// Of these, bytes copied behind this record.
        captured: u32,
        /// Records emitted for this direction before this one: a jump tells of loss.
        number: u32,
        /// `direction`.
        direction: u8,
        /// `place`.
        place: u8,
        /// `owned`.
        owned: u8,
        /// 1 when the payload before this packet ended with `0 CR LF CR LF`, the last chunk of RFC 9112 section 7.1.
        previous_last_chunk: u8,
    }
}

record! {
    /// The owner of a socket.
    OwnerRecord, 96 {
        /// Front.
        header: Header,
        /// Process.
        tgid: u32,
        /// Thread.
        tid: u32,
        /// Start of the process on the boot clock, nanoseconds; 0 when unknown.
        start_ns: u64,
        /// Id of the task's cgroup is not cheap to read; this is the socket's.
        cgroup_id: u64,
        /// Short name of the process.
        comm: [u8; 16],
        /// Parent, grandparent and so on; 0 ends the list.
        ancestors: [u32; 7],
        /// `owned`.
        owned: u32,
    }
}

record! {
    /// A session of a TLS library.
    SessionRecord, 136 {
        /// Front. The cookie is that of the socket that the session was seen to send by; 0 while that is not known.
        header: Header,
        /// Names the session in `PLAINTEXT` records; never used again.
        session: u64,
        /// Where the library keeps it in the process's memory.
        address: u64,
        /// Process.
        tgid: u32,
        /// Thread.
        tid: u32,
        /// Start of the process on the boot clock, nanoseconds; 0 when unknown.
        start_ns: u64,
        /// Short name of the process.
        comm: [u8; 16],
        /// Parent, grandparent and so on; 0 ends the list.
        ancestors: [u32; 7],
        /// Of [`session_fact`].
        facts: u32,
        /// Plaintext bytes written.
        egress_bytes: u64,
        /// When the last of them passed; 0 when none did.
        egress_last_ns: u64,
        /// Plaintext bytes read.
        ingress_bytes: u64,
        /// When the last of them passed.
        ingress_last_ns: u64,
    }
}

record! {
    /// A socket reached TCP_CLOSE: what the probes counted, and what the kernel kept of it (include/linux/tcp.h).
    SocketRecord, 184 {
        /// Front.
        header: Header,
        /// `sk_err`: the errno that ended it, 0 when none did.
        error: u32,
        /// State before (include/net/tcp_states.h).
        old_state: u32,
        /// Payload bytes sent.
        egress_offset: u64,
        /// When the last of them passed.
        egress_last_ns: u64,
        /// Payload bytes received (0 on the loopback device, where the sender's end counts them).
        ingress_offset: u64,
        /// When the last of them passed.
        ingress_last_ns: u64,
        /// Packets sent again, as the probes counted them.
        retransmits: u32,
        /// Packets sent that offered no window.
        egress_zero_windows: u32,
        /// Packets received that offered none (0 on the loopback device).
        ingress_zero_windows: u32,
        /// Packets with payload that were received with Congestion Experienced.
        ingress_marked: u32,
        /// Keep-alives sent.
        egress_keep_alives: u32,
        /// Keep-alives received (0 on the loopback device).
        ingress_keep_alives: u32,
        /// Probes of the peer's closed window sent.
        egress_window_probes: u32,
        /// Probes of its own closed window received (0 on the loopback device).
        ingress_window_probes: u32,
        /// Which of the fields below this kernel has: bits of `socket_field`.
        known: u32,
        /// `sk_err_soft`: an error that did not end it at once, as one told by ICMP.
        soft_error: u32,
        /// `bytes_acked`
        bytes_acked: u64,
        /// `bytes_received`
        bytes_received: u64,
        /// `bytes_retrans`
        bytes_retrans: u64,
        /// `srtt_us`: eight times the smoothed round trip, in microseconds.
        srtt_us: u32,
        /// `rtt_min`: the least round trip of the last minutes, in microseconds.
        rtt_min_us: u32,
        /// `total_retrans`
        total_retrans: u32,
        /// `segs_in`
        segs_in: u32,
        /// `segs_out`
        segs_out: u32,
        /// `data_segs_in`
        data_segs_in: u32,
        /// `data_segs_out`
        data_segs_out: u32,
        /// `rcv_ooopack`: segments that came out of order.
        rcv_ooopack: u32,
        /// `dsack_dups`: segments that the peer said it had twice.
        dsack_dups: u32,
        /// `reord_seen`: how often the peer's acknowledgements showed that segments had changed places.
        reord_seen: u32,
        /// `delivered_ce`: segments that the peer said were marked.
        delivered_ce: u32,
        /// `mss_cache`: the segment size in use.
        mss_cache: u32,
        /// `rx_opt` from `saw_tstamp` on: bits of `negotiated`.
        rx_opt: u16,
        /// `ecn_flags`: its lowest bit says that ECN was negotiated.
        ecn_flags: u8,
        /// `icsk_retransmits`: how often the oldest segment was sent again without an answer; of an attempt, its SYN.
        icsk_retransmits: u8,
        /// Zero.
        reserved: u32,
    }
}

record! {
    /// What an idle connection sends, so far: told while it is open, since a connection that is kept alive may be so for days.
    IdleRecord, 40 {
        /// Front.
        header: Header,
        /// `direction`.
        direction: u32,
        /// Keep-alives.
        keep_alives: u32,
        /// Probes of a window that the peer has closed; where the kernel's types are not known, these are among the keep-alives.
        window_probes: u32,
        /// Zero.
        reserved: u32,
    }
}

record! {
    /// A UDP datagram, followed by `captured` bytes of its payload.
    DatagramRecord, 80 {
        /// Front.
        header: Header,
        /// Address of the socket; IPv4 in the first four bytes.
        local: [u8; 16],
        /// Address of its peer.
        remote: [u8; 16],
        /// Port of the socket.
        local_port: u16,
        /// Port of its peer.
        remote_port: u16,
        /// 4 or 6.
        family: u8,
        /// `direction`.
        direction: u8,
        /// `look`.
        look: u8,
        /// Zero.
        reserved: u8,
        /// Inode of the network namespace; 0 when unknown.
        netns: u32,
        /// Interface index.
        ifindex: u32,
        /// Payload bytes.
        payload_length: u32,
        /// Of these, bytes copied behind this record.
        captured: u32,
    }
}

record! {
    /// A process called execve, followed by `path_length` bytes of the file's path and `arguments_length` bytes of
    /// NUL-separated arguments.
    ExecRecord, 160 {
        /// Front.
        header: Header,
        /// Process.
        tgid: u32,
        /// User id in the initial namespace.
        uid: u32,
        /// Start of the process on the boot clock, nanoseconds.
        start_ns: u64,
        /// Bytes of path behind this record.
        path_length: u32,
        /// Bytes of arguments behind the path's room (`EXEC_PATH` bytes).
        arguments_length: u32,
        /// Short name.
        comm: [u8; 16],
        /// Parent, grandparent and so on; 0 ends the list.
        ancestors: [u32; 7],
        /// 1 when there were more bytes of arguments than were copied.
        arguments_cut: u32,
        /// Name of the file that runs, ended by a zero byte: of a script its interpreter, of a link its target.
        name: [u8; EXEC_NAME],
    }
}

record! {
    /// A process ended. Its sockets are closed after this.
    ExitRecord, 40 {
        /// Front.
        header: Header,
        /// Process.
        tgid: u32,
        /// As waitpid gives it: the exit code times 256, or the number of the signal, plus 128 when there was a core dump.
        status: u32,
        /// Start of the process on the boot clock, nanoseconds.
        start_ns: u64,
    }
}

record! {
    /// A packet of TCP that the kernel dropped, and why.
    DropRecord, 144 {
        /// Front. The cookie is that of the socket that sent it or was to receive it: of a SYN the listener's.
        header: Header,
        /// Source address; IPv4 in the first four bytes.
        source: [u8; 16],
        /// Destination address.
        destination: [u8; 16],
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
        /// Number of `enum skb_drop_reason`, which each kernel numbers in its own way.
        reason: u32,
        /// Inode of the network namespace; 0 when unknown.
        netns: u32,
        /// 4 or 6.
        family: u8,
        /// Time to live or hop limit.
        ttl: u8,
        /// `direction`; of a packet without a socket `INGRESS`.
        direction: u8,
        /// Zero.
        reserved: u8,
        /// As in `EndRecord`.
        ip: [u8; 8],
        /// The header of TCP, and what stands behind it.
        tcp: [u8; 64],
    }
}

record! {
    /// A packet that passed a socket, followed by `captured` bytes of its IP header and the one behind that.
    HeadersRecord, 72 {
        /// Front.
        header: Header,
        /// Process that sent it, when that is known; else 0.
        tgid: u32,
        /// Thread likewise.
        tid: u32,
        /// Short name of the task that ran, which is the process's when that is known.
        comm: [u8; 16],
        /// Inode of the network namespace; 0 when unknown.
        netns: u32,
        /// Interface index.
        ifindex: u32,
        /// Bytes of the packet from its IP header on: before segmentation, which may follow.
        packet_length: u32,
        /// Bytes copied behind this record.
        captured: u32,
        /// `direction`.
        direction: u32,
        /// `owned`.
        owned: u32,
    }
}

/// Room for the name of the file, with the zero byte at its end.
pub const EXEC_NAME: usize = 64;
/// Room for the path behind an `ExecRecord`.
pub const EXEC_PATH: usize = 256;
/// Room for the arguments behind that.
pub const EXEC_ARGUMENTS: usize = 1024;
/// The largest cap of copied bytes for each turn that the probes take.
pub const MAX_CAP: u32 = 16384;

/// Room for the headers behind a `SynRecord`: 60 bytes of IPv4 with options, or 40 of IPv6 and 28 of extension headers, and
/// 60 of TCP.
pub const SYN_HEADERS: u32 = 128;

/// The most bytes copied of a datagram: more than a path with Ethernet's MTU lets through.
pub const DATAGRAM_CAP: u32 = 2048;

#[cfg(test)]
mod tests;
