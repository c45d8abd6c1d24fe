//! The exchanges of one connection: the first and the last of them, and how many there are.
//!
//! There is no index from connections to exchanges, which every row would pay for: those of the connection's time are looked
//! through, from both ends, until enough are found. Their ordinals count them.

use crate::answer::Window;
use crate::db::query;
use crate::id::{DnsId, ExchangeId};
use crate::integer::{signed, unsigned};
use crate::segments::{self, Chunk, Segment};
use crate::snapshot::Snapshot;
use crate::{QueryError, outcome};

/// What is told of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OfConnection {
    /// Printable id.
    pub(super) id: String,
    pub(super) start_ns: u64,
    /// Position on the connection.
    ordinal: u64,
    /// Method and path, or the name asked for. Untrusted.
    pub(super) captured: Option<String>,
    /// Status and outcome.
    pub(super) what: String,
}

/// All of them, as far as told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Exchanges {
    pub(super) count: u64,
    /// In the order of their ordinals; of many the first and the last.
    pub(super) told: Vec<OfConnection>,
    /// Behind which of these some are left out, and how many.
    pub(super) gap: Option<(usize, u64)>,
}

/// Finds at most `most` of them. Packs of DNS are looked into only when the connection carries DNS.
pub(super) fn of(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    connection: i64,
    window: Window,
    (most, is_dns): (usize, bool),
) -> Result<Exchanges, QueryError> {
    let half = most.div_ceil(2).max(1);
    let mut chunks = segments::chunks(snapshot, segments, window, CHUNK_SHIFT)?;
    let last = from(snapshot, &chunks, connection, half, "DESC")?;
    chunks.reverse();
    let first = from(snapshot, &chunks, connection, half, "ASC")?;
    let mut told = first;
    let told_until = told.last().map(|one| one.ordinal);
    told.extend(
        last.into_iter()
            .rev()
            .filter(|one| told_until.is_none_or(|until| one.ordinal > until)),
    );
    let count = told.last().map_or(0, |last| last.ordinal + 1);
    let ordinals = told.iter().map(|one| one.ordinal);
    let gap = ordinals
        .clone()
        .zip(ordinals.skip(1))
        .enumerate()
        .map(|(at, (one, next))| (at, next.saturating_sub(one + 1)))
        .find(|(_, left_out)| *left_out > 0);
    let dns = if is_dns {
        dns(snapshot, segments, connection, window, most)?
    } else {
        Vec::new()
    };
    Ok(Exchanges {
        count: count + u64::try_from(dns.len()).unwrap_or(0),
        told: told.into_iter().chain(dns).collect(),
        gap,
    })
}

/// The first `want` in an order.
fn from(
    snapshot: &mut Snapshot,
    chunks: &[Chunk],
    connection: i64,
    want: usize,
    order: &str,
) -> Result<Vec<OfConnection>, QueryError> {
    let tag = snapshot.tag();
    let (mut found, mut looked_at) = (Vec::new(), 0_u64);
    for chunk in chunks {
        if found.len() >= want || looked_at > MOST_LOOKED_AT {
            break;
        }
        looked_at += chunk.ids;
        let sql = format!(
            "SELECT e.id, e.start_ns, e.ordinal, e.http_request_method, \
             CASE e.target_form WHEN 2 THEN e.url_authority ELSE e.url_path END, e.http_response_status_code, e.outcome \
             FROM exchange_rows({}) e WHERE e.id BETWEEN ? AND ? AND e.connection_id = ? \
             ORDER BY e.ordinal {order} LIMIT ?",
            chunk.segment
        );
        let rows = query(sql)
            .bind(chunk.first_id)
            .bind(chunk.last_id)
            .bind(connection)
            .bind(i64::try_from(want - found.len()).unwrap_or(i64::MAX))
            .fetch_all(snapshot.connection())?;
        for row in rows {
            let (method, path): (Option<&str>, Option<&str>) = (row.try_get(3)?, row.try_get(4)?);
            let status: Option<i64> = row.try_get(5)?;
            let name = outcome::name(row.try_get(6)?);
            let line = [method, path].into_iter().flatten().collect::<Vec<_>>();
            found.push(OfConnection {
                id: ExchangeId(unsigned(row.try_get(0)?)).printed(&tag),
                start_ns: unsigned(row.try_get(1)?),
                ordinal: unsigned(row.try_get(2)?),
                captured: (!line.is_empty()).then(|| line.join(" ")),
                what: match status {
                    Some(status) if name == "complete" => format!("exchange: {status}"),
                    Some(status) => format!("exchange: {status}, {name}"),
                    None => format!("exchange: {name}"),
                },
            });
        }
    }
    Ok(found)
}

/// Those of DNS over TCP.
fn dns(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    connection: i64,
    window: Window,
    most: usize,
) -> Result<Vec<OfConnection>, QueryError> {
    let tag = snapshot.tag();
    let mut found = Vec::new();
    for segment in segments {
        let sql = DNS.replace("{N}", &segment.number.to_string());
        let rows = query(sql)
            .bind(signed(window.since_ns))
            .bind(signed(window.until_ns))
            .bind(connection)
            .bind(i64::try_from(most.saturating_sub(found.len())).unwrap_or(i64::MAX))
            .fetch_all(snapshot.connection())?;
        for row in rows {
            let rcode: Option<i64> = row.try_get(3)?;
            found.push(OfConnection {
                id: DnsId(unsigned(row.try_get(0)?)).printed(&tag),
                start_ns: unsigned(row.try_get(1)?),
                ordinal: 0,
                captured: row.try_get(2)?,
                what: match rcode {
                    Some(rcode) => format!("DNS exchange: {}", outcome::rcode(rcode)),
                    None => "DNS exchange: no answer".to_owned(),
                },
            });
        }
    }
    Ok(found)
}

/// Plain rows by their index, and the packs that reach into the time.
const DNS: &str = "SELECT id, start_ns, dns_question_name, rcode FROM dns_exchange_{N} \
    WHERE start_ns BETWEEN ?1 AND ?2 AND connection_id = ?3 UNION \
    SELECT r.id, r.start_ns, r.dns_question_name, r.rcode FROM dns_exchange_pack_{N} p \
    CROSS JOIN dns_rows({N}) r ON r.id BETWEEN p.first_id AND p.last_id \
    WHERE p.max_start_ns >= ?1 AND p.min_start_ns <= ?2 AND r.start_ns BETWEEN ?1 AND ?2 AND r.connection_id = ?3 \
    ORDER BY start_ns LIMIT ?4";
/// Chunks of at least 8,192 ids.
const CHUNK_SHIFT: u32 = 13;
/// Exchanges of any connection that are looked through from each end.
const MOST_LOOKED_AT: u64 = 500_000;
