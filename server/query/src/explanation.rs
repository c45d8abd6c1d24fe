//! The words for each kind of coverage: what it means for an answer, and the cure where there is one.
//!
//! Owns: words, their order from worst to mildest, and which kinds can hide what. Kinds are those of
//! `headwater_model::CoverageKind` in snake case, and the ones that are derived when an answer is made.

use crate::CoverageItem;
use crate::coverage::About;
use crate::window::rfc3339;

/// Worst first.
pub(crate) fn rank(kind: &str) -> usize {
    ORDER
        .iter()
        .position(|known| *known == kind)
        .unwrap_or(ORDER.len())
}

/// Whether something that a question is about may have happened and not be in the store.
pub(crate) fn hides(kind: &str, about: About) -> bool {
    match kind {
        "not_recorded"
        | "recorder_killed"
        | "write_failed"
        | "ring_lost"
        | "probe_recursion"
        | "connection_evicted"
        | "held_bytes_capped"
        | "connection_unfollowed"
        | "flow_table_full"
        | "packets_unparsed"
        | "retention"
        | "filtered"
        | "key_unavailable" => true,
        "frames_lost" | "malformed" | "tls_not_decoded" | "tls_unbound" | "plaintext_unread"
        | "header_block_lost" => about != About::Dns,
        "dns_not_read" => about != About::Http,
        _ => false,
    }
}

/// Whether the stored detail of this kind says something that sums up.
pub(crate) fn tells_detail(kind: &str) -> bool {
    matches!(
        kind,
        "unsupported"
            | "filtered"
            | "retention"
            | "table_capped"
            | "icmp_not_tied"
            | "tls_library_not_read"
    )
}

/// The sentence for an item.
pub(crate) fn of(item: &CoverageItem, detail: Option<&str>) -> String {
    let count = item.count;
    let mut words = match item.kind.as_str() {
        "ring_lost" => format!(
            "{count} records found the kernel's ring buffer full and were lost: exchanges may be missing or incomplete. \
             A larger ring, a faster disk or a filter helps."
        ),
        "probe_recursion" => format!("{count} packets met a busy probe and were not looked at."),
        "connection_evicted" => {
            format!(
                "{count} connections were dropped from the recorder's full table; their exchanges may be missing."
            )
        }
        "held_bytes_capped" => format!(
            "{count} connections were given up because the heads and exchanges that were open at once took all the memory \
             set aside for them; what these went on to carry is missing."
        ),
        "connection_unfollowed" => format!(
            "Connections that had been dropped from the recorder's full table, or whose beginning was lost, went on and \
             could not be followed: {count} in all, each counted once a second. Their exchanges are missing."
        ),
        "flow_table_full" => format!(
            "{count} packets belonged to connections that found no room in the probes' table: their exchanges may be \
             missing. A filter does not help; fewer open connections do."
        ),
        "packets_unparsed" => format!(
            "{count} packets had headers that the probes do not read (later fragments of IP, long chains of extension \
             headers): exchanges may be missing or incomplete."
        ),
        "frames_lost" => format!(
            "{count} packets of HTTP/2 or WebSocket came out of order or held too many frames to be followed: exchanges may \
             be missing or incomplete, and messages uncounted."
        ),
        "head_capped" => format!(
            "{count} heads were longer than the copy cap and were cut; a larger cap shows them."
        ),
        "malformed" => {
            format!("{count} byte sequences were not what HTTP demands and could not be read.")
        }
        "joined_midstream" => {
            format!(
                "{count} connections were joined in the middle: what they carried before was not seen."
            )
        }
        "table_capped" => format!(
            "{count} entries of full tables of the recorder's were forgotten: who is at an end, which two ends are one \
             connection, or by which name an address was found, may be missing."
        ),
        "other_protocol" => format!("{count} connections spoke another protocol than HTTP."),
        "dns_not_read" => format!("{count} DNS messages were cut or damaged and are not told."),
        "quic_not_decoded" => format!(
            "{count} UDP flows were QUIC (HTTP/3): version and server name were seen, exchanges within could not be read."
        ),
        "drops_untold" => format!(
            "{count} packets of TCP that the kernel dropped came too many at once to be told of their connections; `status` counts them by reason."
        ),
        "icmp_not_tied" => format!(
            "{count} ICMP errors about TCP or UDP are told of no connection, DNS exchange or UDP flow."
        ),
        "udp_flow_evicted" => format!("{count} UDP flows made room for others and end there."),
        "own_traffic" => format!("{count} exchanges of Headwater's own MCP traffic were left out."),
        "filtered" => format!("{count} connections were left out by the operator's filter."),
        "clock_step" => format!(
            "The wall clock was set, by {count} ms in all: times before and after do not compare."
        ),
        "suspended" => format!("The machine slept for {count} ms in all."),
        "write_failed" => {
            format!(
                "{count} rows could not be written, most likely for a full disk: free some space."
            )
        }
        "retention" => format!(
            "{count} rows of this window were dropped by retention; raise its limits to keep more."
        ),
        "name_overflow" => {
            format!(
                "{count} names were beyond the cap, each counted once in ten seconds; what bears them is counted under (other)."
            )
        }
        "unsupported" => {
            "This kernel or this user cannot see everything; `headwater doctor` has the details."
                .to_owned()
        }
        "recorder_killed" => format!(
            "A recorder was killed or crashed at {} without saying so: up to a second before that may be missing.",
            rfc3339(item.from_ns)
        ),
        kind => of_http2(kind, count)
            .or_else(|| of_tls(kind, count))
            .unwrap_or_else(|| {
                format!("{count} of a kind of loss that this program does not know; update it.")
            }),
    };
    if let Some(detail) = detail.map(plain).filter(|detail| !detail.is_empty()) {
        words.push_str(" (");
        words.push_str(&detail);
        words.push(')');
    }
    words
}

/// Of what HTTP/2 alone can lack.
fn of_http2(kind: &str, count: u64) -> Option<String> {
    Some(match kind {
        "header_block_lost" => format!(
            "{count} header blocks of HTTP/2 were not read: header values that referred to them are shown as unknown, and requests may be missing."
        ),
        "header_table_capped" => format!(
            "{count} entries of HTTP/2's header tables were forgotten to keep the tables bounded: header values that \
             referred to them are shown as unknown."
        ),
        "identifiers_capped" => format!(
            "{count} identifiers of exchanges that have more than 64 were not indexed: those exchanges are not found by them."
        ),
        "expansion_capped" => format!(
            "{count} exchanges of HTTP/2 connections have no header fields or are missing: their heads were compressed so \
             much that they would have taken more than four bytes in the store for each on the wire, as in an attack."
        ),
        _ => return None,
    })
}

/// Of what TLS alone can lack.
fn of_tls(kind: &str, count: u64) -> Option<String> {
    match kind {
        "tls_not_decoded" => Some(format!(
            "{count} connections were TLS of which no plaintext was seen."
        )),
        "tls_library_not_read" => Some(
            "What a program says inside TLS is not seen, since its library is not read.".to_owned(),
        ),
        "plaintext_unread" => Some(format!(
            "{count} reads of what programs gave to TLS libraries found nothing in memory, or no end of the call: exchanges may be missing or incomplete."
        )),
        "tls_unbound" => Some(format!(
            "{count} sessions of TLS libraries were not seen to send by any socket: their exchanges have no addresses."
        )),
        _ => None,
    }
}

/// The recorder's own words, kept short and on one line.
fn plain(detail: &str) -> String {
    detail
        .chars()
        .filter(|character| matches!(character, ' '..='~'))
        .take(200)
        .collect()
}

const ORDER: [&str; 48] = [
    "not_recorded",
    "recorder_killed",
    "write_failed",
    "ring_lost",
    "probe_recursion",
    "connection_evicted",
    "held_bytes_capped",
    "connection_unfollowed",
    "flow_table_full",
    "packets_unparsed",
    "frames_lost",
    "retention",
    "filtered",
    "scan_limited",
    "transaction_cut",
    "value_is_common",
    "key_unavailable",
    "baseline_empty",
    "window_empty",
    "compared_in_part",
    "compared_by_slots",
    "names_not_compared",
    "changes_cut",
    "rows_cut",
    "suspects_not_sought",
    "tls_not_decoded",
    "tls_library_not_read",
    "tls_unbound",
    "plaintext_unread",
    "quic_not_decoded",
    "header_block_lost",
    "header_table_capped",
    "expansion_capped",
    "dns_not_read",
    "icmp_not_tied",
    "drops_untold",
    "udp_flow_evicted",
    "identifiers_capped",
    "malformed",
    "head_capped",
    "joined_midstream",
    "table_capped",
    "unsupported",
    "name_overflow",
    "clock_step",
    "suspended",
    "other_protocol",
    "own_traffic",
];
