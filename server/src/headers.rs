//! Header elements of IP and TCP, the same for live packets and those of capture files.
//!
//! etherparse finds the headers; what stands in the first bytes of IP's is read here, since that is all that most records
//! carry, and the options of TCP are read by `headwater_protocols::tcp`.

use etherparse::{Ipv6ExtensionSlice, LaxNetSlice, TcpSlice};
use headwater_model::{Extensions, Handshake, IpHeader};
use headwater_protocols::tcp;

/// From the first bytes of an IP header; `None` when they are none.
pub(crate) fn ip_header(first: &[u8], hop_limit: u8) -> Option<IpHeader> {
    let [zeroth, class, label, label_end, _, _, flags, _] = *first.first_chunk::<8>()?;
    let plain = IpHeader {
        hop_limit,
        ..IpHeader::default()
    };
    match zeroth >> 4 {
        4 => Some(IpHeader {
            traffic_class: class,
            dont_fragment: Some(flags & 0x40 != 0),
            ..plain
        }),
        // Four bits of version, eight of traffic class, twenty of flow label (RFC 8200, section 3).
        6 => Some(IpHeader {
            traffic_class: zeroth << 4 | class >> 4,
            flow_label: Some(u32::from_be_bytes([0, class & 15, label, label_end])),
            ..plain
        }),
        _ => None,
    }
}

/// Which extension headers a packet of IPv6 has.
pub(crate) fn extensions(net: &LaxNetSlice<'_>) -> Extensions {
    let LaxNetSlice::Ipv6(ip) = net else {
        return Extensions::default();
    };
    let all = ip.extensions().clone().into_iter();
    all.fold(Extensions::default(), |sum, extension| {
        sum.with(match extension {
            Ipv6ExtensionSlice::HopByHop(_) => Extensions::HOP_BY_HOP,
            Ipv6ExtensionSlice::Routing(_) => Extensions::ROUTING,
            Ipv6ExtensionSlice::Fragment(_) => Extensions::FRAGMENT,
            Ipv6ExtensionSlice::DestinationOptions(_) => Extensions::DESTINATION_OPTIONS,
            Ipv6ExtensionSlice::Authentication(_) => Extensions::AUTHENTICATION,
        })
    })
}

/// What a SYN or SYN-ACK offers.
pub(crate) fn handshake(at_ns: u64, header: &TcpSlice<'_>) -> Handshake {
    let options = tcp::options(header.options());
    Handshake {
        at_ns,
        seq: Some(header.sequence_number()),
        window: header.window_size(),
        ece: header.ece(),
        cwr: header.cwr(),
        mss: options.mss,
        window_scale: options.window_scale,
        sack_permitted: options.sack_permitted,
        timestamps: options.timestamps,
        fast_open: options.fast_open,
        other_options: options.others,
        is_malformed: options.is_malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_of_both_versions() {
        let four = ip_header(&[0x45, 0xb8, 0, 60, 1, 2, 0x40, 0], 64).unwrap();
        assert_eq!(
            (four.traffic_class, four.dont_fragment, four.flow_label),
            (0xb8, Some(true), None)
        );
        let six = ip_header(&[0x6b, 0x83, 0x45, 0x67, 0, 40, 6, 64], 63).unwrap();
        assert_eq!(
            (six.traffic_class, six.dont_fragment, six.flow_label),
            (0xb8, None, Some(0x3_4567))
        );
        assert_eq!(ip_header(&[0; 8], 64), None);
        let whole = [0x45, 0xb8, 0, 60, 1, 2, 0x40, 0, 64, 6];
        for cut in 0..=whole.len() {
            let read = ip_header(&whole[..cut], 64);
            assert_eq!(read, (cut >= 8).then_some(four), "{cut}");
        }
    }
}
