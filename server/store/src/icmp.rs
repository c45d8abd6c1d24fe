//! The columns of the errors that ICMP told of a connection, a DNS exchange or a UDP flow.

use std::fmt::Write as _;

use headwater_model::{IcmpError, IcmpErrors, IcmpKinds, Side};

/// `connection.icmp`.
pub(crate) fn icmp(errors: &IcmpErrors, start_ns: u64) -> String {
    format!(
        "{} {} {}",
        errors.count,
        error(&errors.first, start_ns),
        error(&errors.last, start_ns)
    )
}

/// `udp_flow_N.icmp`.
pub(crate) fn kinds(kinds: &IcmpKinds, start_ns: u64) -> String {
    let mut text = kinds.others().to_string();
    for kind in kinds.kinds() {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            " {},{},{},{}",
            kind.count,
            u8::from(kind.has_other_senders),
            kind.first_ns.saturating_sub(start_ns),
            error(&kind.last, start_ns)
        );
    }
    text
}

/// One message, as in all three columns; `dns_exchange_N.icmp`.
pub(crate) fn error(error: &IcmpError, start_ns: u64) -> String {
    format!(
        "{},{},{},{},{},{}",
        error.at_ns.saturating_sub(start_ns),
        match error.about {
            Side::Client => "client",
            Side::Server => "server",
        },
        error.kind,
        error.code,
        error.mtu.map(|mtu| mtu.to_string()).unwrap_or_default(),
        error.from,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stand_behind_their_count() {
        let first = IcmpError {
            at_ns: 1_500,
            from: "10.0.0.1".parse().unwrap(),
            about: Side::Client,
            kind: 3,
            code: 4,
            mtu: Some(1400),
        };
        let mut errors = IcmpErrors::of(first);
        errors.add(IcmpError {
            at_ns: 2_500,
            from: "fd00::1".parse().unwrap(),
            about: Side::Server,
            mtu: None,
            ..first
        });
        assert_eq!(
            icmp(&errors, 1_000),
            "2 500,client,3,4,1400,10.0.0.1 1500,server,3,4,,fd00::1"
        );
        let mut all = IcmpKinds::default();
        for (at_ns, code) in [(1_500, 3), (1_700, 3), (1_900, 1)] {
            all.add(IcmpError {
                at_ns,
                code,
                mtu: None,
                ..first
            });
        }
        assert_eq!(
            kinds(&all, 1_000),
            "0 2,0,500,700,client,3,3,,10.0.0.1 1,0,900,900,client,3,1,,10.0.0.1"
        );
    }
}
