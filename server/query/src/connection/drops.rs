//! `connection.packet_drops` read back: packets that this machine's kernel dropped, and what its reasons mean.

use super::{StoryLine, View};

/// Packets dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dropped {
    by: &'static str,
    reason: String,
    count: u64,
    after_ns: u64,
}

/// Reads the text of the column.
pub(super) fn read(text: Option<&str>) -> Vec<Dropped> {
    let parts = text.unwrap_or_default().split(',');
    parts.filter_map(one).collect()
}

fn one(text: &str) -> Option<Dropped> {
    let mut parts = text.split(':');
    Some(Dropped {
        by: match parts.next()? {
            "client" => "client",
            "server" => "server",
            _ => return None,
        },
        // The kernel's own name, of its own letters.
        reason: parts.next().filter(|name| is_name(name))?.to_owned(),
        count: parts.next()?.parse().ok()?,
        after_ns: parts.next()?.parse().ok()?,
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Their lines, each where the first was dropped.
pub(super) fn story(view: &View) -> impl Iterator<Item = StoryLine> {
    view.drops.iter().map(|dropped| StoryLine {
        after_ns: Some(i64::try_from(dropped.after_ns).unwrap_or(i64::MAX)),
        by: dropped.by,
        what: format!(
            "{} dropped by this machine's kernel: {}{}",
            match dropped.count {
                1 => "a packet of it was".to_owned(),
                count => format!("{count} packets of it were"),
            },
            dropped.reason,
            meaning(&dropped.reason)
        ),
        id: None,
        captured: None,
    })
}

/// What to add to the end of a connection that came to nothing.
pub(super) fn explained(view: &View) -> String {
    let list: Vec<_> = view
        .drops
        .iter()
        .map(|dropped| format!("{} {} of the {}", dropped.count, dropped.reason, dropped.by))
        .collect();
    if list.is_empty() {
        return String::new();
    }
    format!(
        "; this machine's kernel dropped packets of it: {}",
        list.join(", ")
    )
}

/// In words, what the kernel's documentation says of those that are met most (include/net/dropreason-core.h).
fn meaning(reason: &str) -> &'static str {
    match reason {
        "NETFILTER_DROP" => " (a rule of netfilter: iptables or nftables)",
        "NO_SOCKET" => " (no socket takes it)",
        "NEIGH_FAILED" | "NEIGH_CREATEFAIL" | "NEIGH_QUEUEFULL" | "NEIGH_DEAD" => {
            " (no answer to ARP or neighbour discovery: the next hop is not there)"
        }
        "IP_OUTNOROUTES" | "IP_INNOROUTES" => " (no route)",
        "IP_RPFILTER" => " (reverse path filter: it came from where its source is not reached)",
        "TCP_LISTEN_OVERFLOW" => " (the listener's backlog is full: the server accepts too slowly)",
        "SOCKET_BACKLOG" | "SOCKET_RCVBUFF" | "PROTO_MEM" | "TCP_OFO_QUEUE_PRUNE" => {
            " (no room at the receiving socket)"
        }
        "TCP_ZEROWINDOW" | "TCP_OVERWINDOW" => " (outside the window that its receiver offers)",
        "TCP_OLD_DATA" | "TCP_OLD_ACK" | "TCP_OLD_SEQUENCE" => " (had arrived before)",
        "TCP_RESET" => " (a RST, which ends the connection)",
        "SOCKET_CLOSE" | "TCP_CLOSE" | "TCP_ABORT_ON_DATA" => " (its receiver had closed)",
        "QDISC_DROP" | "QDISC_OVERLIMIT" | "QDISC_CONGESTED" | "FQ_FLOW_LIMIT" | "CPU_BACKLOG"
        | "FULL_RING" => " (a queue was full, or a queueing discipline says so)",
        "BPF_CGROUP_EGRESS" | "SOCKET_FILTER" | "XDP" | "TC_INGRESS" | "TC_EGRESS" => {
            " (an eBPF program or filter says so)"
        }
        "TCP_CSUM" | "IP_CSUM" | "SKB_CSUM" => " (wrong checksum)",
        "PKT_TOO_BIG" => " (longer than the path takes)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read() {
        let read = read(Some("client:NETFILTER_DROP:3:17,server:TCP_RESET:1:99"));
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].reason, "NETFILTER_DROP");
        assert_eq!(
            (read[1].by, read[1].count, read[1].after_ns),
            ("server", 1, 99)
        );
        assert_eq!(
            super::read(Some("who:X:1:1,client::1:1,client:<b>:1:1,client:X:y:1")),
            []
        );
        assert_eq!(super::read(None), []);
    }
}
