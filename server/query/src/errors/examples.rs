//! A few of a group, the newest.
//!
//! Owns: finding them, from what the roll-ups name, and of a group that is named by its id.

use std::collections::BTreeSet;

use super::fingerprint::Fingerprint;
use super::{EXAMPLES, Group, Place};
use crate::answer::Window;
use crate::db::query_scalar;
use crate::id::{ConnectionId, DnsId, ExchangeId};
use crate::integer::{signed, unsigned};
use crate::quantile::Latencies;
use crate::rollup::{self, Selection};
use crate::segments::Segment;
use crate::slow::{self, Slow};
use crate::snapshot::Snapshot;
use crate::tls::IS_COUNTED;
use crate::{QueryError, outcome};

/// Those of the group with an id, in all that is kept.
pub(crate) fn of_fingerprint(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
    wanted: Fingerprint,
) -> Result<Vec<String>, QueryError> {
    let mut group = Group::default();
    let mut found: Option<(Place, i64)> = None;
    let selection = Selection::default();
    rollup::each(snapshot, segments, window, &selection, |row| {
        let place = (row.server, row.route, row.method.clone());
        let kind = if row.kind == 0 {
            outcome::SLOW
        } else {
            row.kind
        };
        if Fingerprint::of(&place, kind) == wanted {
            group.add(&row);
            found = Some((place, kind));
        }
    })?;
    let Some((place, kind)) = found else {
        return Ok(Vec::new());
    };
    if kind == outcome::SLOW {
        group = slow(snapshot, segments, window, &place)?;
    }
    of(snapshot, &place, kind, &group)
}

/// Those that are slow beside all that are kept of their route.
fn slow(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
    (server, route, method): &Place,
) -> Result<Group, QueryError> {
    let selection = Selection {
        servers: Some(BTreeSet::from([*server])),
        or_clients: false,
        latency: true,
    };
    let mut well = Latencies::default();
    rollup::each(snapshot, segments, window, &selection, |row| {
        if row.kind == 0 && row.route == *route && row.method == *method {
            well.add(&row.latency);
        }
    })?;
    let mut group = Group::default();
    // Where most of what is kept is slow, beside the fastest tenth.
    for percent in [50, 10] {
        let Some(limit_ns) = well.quantile(percent).map(slow::limit_ns) else {
            break;
        };
        group.slow = Some(Slow {
            limit_ns,
            count: 0,
            before: 0,
        });
        let place = (*server, *route, method.as_str());
        let found = slow::occurrences(snapshot, segments, window, place, limit_ns)?;
        let is_any = !found.examples.is_empty();
        group.told_by(found);
        if is_any {
            break;
        }
    }
    Ok(group)
}

/// The newest exchanges of a group: from the newest ten seconds through the index on failures, and before that the ones
/// that the roll-ups name.
pub(super) fn of(
    snapshot: &mut Snapshot,
    place: &Place,
    kind: i64,
    group: &Group,
) -> Result<Vec<String>, QueryError> {
    let tag = snapshot.tag();
    if group.slow.is_some() {
        let printed = |id: &i64| ExchangeId(unsigned(*id)).printed(&tag);
        return Ok(group.ids.iter().rev().map(printed).collect());
    }
    let Some((segment, first, last)) = group.newest else {
        return connections(snapshot, place, kind, group);
    };
    let (server, route, method) = place;
    let is_dns = outcome::is_dns(kind);
    let (table, of_route) = if is_dns {
        ("dns_exchange", "AND ? = 0 AND ? = 'DNS'")
    } else {
        (
            "exchange",
            "AND COALESCE(route_id, 0) = ? AND COALESCE(http_request_method, '') = ?",
        )
    };
    let sql = format!(
        "SELECT id FROM {table}_{segment} WHERE error_kind = ? \
         AND id BETWEEN ? AND ? AND server_service_id = ? {of_route} ORDER BY id DESC LIMIT 3"
    );
    let found: Vec<i64> = query_scalar(sql)
        .bind(kind)
        .bind(first)
        .bind(last)
        .bind(server)
        .bind(route)
        .bind(method)
        .fetch_all(snapshot.connection())?;
    let all: BTreeSet<i64> = found.into_iter().chain(group.ids.iter().copied()).collect();
    Ok(all
        .into_iter()
        .rev()
        .take(EXAMPLES)
        .map(|id| {
            if is_dns {
                DnsId(unsigned(id)).printed(&tag)
            } else {
                ExchangeId(unsigned(id)).printed(&tag)
            }
        })
        .collect())
}

/// The newest attempts of a group that came to no exchange.
fn connections(
    snapshot: &mut Snapshot,
    (server, ..): &Place,
    kind: i64,
    group: &Group,
) -> Result<Vec<String>, QueryError> {
    // Both take the kind, by number and by name.
    let sql = if kind >= outcome::TLS {
        format!(
            "SELECT c.id FROM connection_tls t JOIN connection c ON c.id = t.connection_id WHERE t.error_kind = ?1 AND {IS_COUNTED} \
             AND c.start_ns BETWEEN ?3 AND ?4 AND c.server_service_id = ?5 AND ?2 <> '' ORDER BY t.connection_id DESC LIMIT 3"
        )
    } else {
        "SELECT id FROM connection WHERE close_reason IN ('refused', 'timed_out', 'unreachable', 'gave_up') AND close_reason = ?2 \
         AND start_ns BETWEEN ?3 AND ?4 AND server_service_id = ?5 AND ?1 > 0 ORDER BY start_ns DESC LIMIT 3"
            .to_owned()
    };
    let found: Vec<i64> = query_scalar(sql)
        .bind(kind)
        .bind(outcome::failure(kind))
        .bind(group.first_ns.map(signed))
        .bind(signed(group.last_ns))
        .bind(server)
        .fetch_all(snapshot.connection())?;
    let tag = snapshot.tag();
    Ok(found
        .into_iter()
        .map(|id| ConnectionId(unsigned(id)).printed(&tag))
        .collect())
}
