//! The columns of what headers of IP and TCP said of one end of a connection.

use headwater_model::{Handshake, IpHeader, SegmentCounts, SocketStats, TcpEnd};
use headwater_pack::numbers;

/// `connection.client_tcp` and `connection.server_tcp`; `None` when nothing is known.
pub(crate) fn tcp(end: &TcpEnd, start_ns: u64) -> Option<String> {
    let after = |at_ns: Option<u64>| at_ns.map(|at_ns| at_ns.saturating_sub(start_ns));
    let text = numbers::join(
        ip(end.ip.as_ref())
            .into_iter()
            .chain(handshake(end.handshake.as_ref(), start_ns))
            .chain([
                (end.syn_retries > 0 || end.handshake.is_some()).then(|| end.syn_retries.into()),
                after(end.first_payload_ns),
                after(end.fin_ns),
                after(end.rst_ns),
            ])
            .chain(counts(end.counts()))
            .chain(
                end.socket
                    .as_ref()
                    .into_iter()
                    .flat_map(|socket| stats(socket, start_ns)),
            ),
    );
    (!text.is_empty()).then_some(text)
}

fn ip(ip: Option<&IpHeader>) -> [Option<u64>; 6] {
    let Some(ip) = ip else { return [None; 6] };
    let dont_fragment = match ip.dont_fragment {
        None => 0,
        Some(false) => 2,
        Some(true) => 2 + 4,
    };
    [
        Some(u64::from(ip.is_received) + dont_fragment),
        (ip.interface != 0).then(|| ip.interface.into()),
        Some(ip.hop_limit.into()),
        Some(ip.traffic_class.into()),
        ip.flow_label.map(Into::into),
        (ip.extensions.0 != 0).then(|| ip.extensions.0.into()),
    ]
}

fn handshake(handshake: Option<&Handshake>, start_ns: u64) -> [Option<u64>; 7] {
    let Some(handshake) = handshake else {
        return [None; 7];
    };
    let flags = u64::from(handshake.ece)
        + 2 * u64::from(handshake.cwr)
        + 4 * u64::from(handshake.sack_permitted)
        + 8 * u64::from(handshake.timestamps)
        + 16 * u64::from(handshake.is_malformed);
    let others = u32::from_be_bytes(handshake.other_options);
    [
        Some(handshake.at_ns.saturating_sub(start_ns)),
        Some(flags),
        Some(handshake.window.into()),
        handshake.mss.map(Into::into),
        handshake.window_scale.map(Into::into),
        handshake.fast_open.map(Into::into),
        (others != 0).then(|| others.into()),
    ]
}

fn counts(counts: SegmentCounts) -> [Option<u64>; 9] {
    [
        counts.packets,
        counts.retransmits,
        counts.out_of_order,
        counts.duplicates,
        counts.zero_windows,
        counts.keep_alives,
        counts.window_probes,
        counts.congestion_experienced,
        counts.resets,
    ]
}

fn stats(socket: &SocketStats, start_ns: u64) -> [Option<u64>; 22] {
    let wide = |number: Option<u32>| number.map(u64::from);
    let negotiated = socket.negotiated.map(|negotiated| {
        u64::from(negotiated.timestamps)
            + 2 * u64::from(negotiated.window_scale)
            + 4 * u64::from(negotiated.sack)
    });
    [
        Some(socket.closed_ns.saturating_sub(start_ns)),
        Some(socket.state.into()),
        wide(socket.error),
        wide(socket.soft_error),
        socket.bytes_acked,
        socket.bytes_received,
        socket.bytes_retrans,
        wide(socket.srtt_us),
        wide(socket.rtt_min_us),
        wide(socket.total_retrans),
        wide(socket.segs_in),
        wide(socket.segs_out),
        wide(socket.data_segs_in),
        wide(socket.data_segs_out),
        wide(socket.rcv_ooopack),
        wide(socket.dsack_dups),
        wide(socket.reord_seen),
        wide(socket.delivered_ce),
        wide(socket.mss_cache),
        negotiated,
        socket.ecn.map(u64::from),
        socket.unanswered.map(u64::from),
    ]
}
