//! The column of the errors that ICMP told of a connection.

use headwater_model::{IcmpError, IcmpErrors, Side};

/// `connection.icmp`.
pub(crate) fn icmp(errors: &IcmpErrors, start_ns: u64) -> String {
    format!(
        "{} {} {}",
        errors.count,
        error(&errors.first, start_ns),
        error(&errors.last, start_ns)
    )
}

fn error(error: &IcmpError, start_ns: u64) -> String {
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
    }
}
