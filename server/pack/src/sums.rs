//! The sums of roll-ups, and what they are summed up with: `latency_sum(latency_buckets)` and `newest_ids(segment, first_exchange_id, last_exchange_id)`.
//!
//! A window has many rows for each group, and a row that is handed to the caller costs ten times what it costs here.
//!
//! Owns: the bytes of `newest_ids`.

use headwater_schema::latency::{BUCKETS, decode, encode};
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};

/// `rollup_N.slot_ns` of the sum of all slots of a closed segment.
pub const ALL_SLOTS: i64 = -1;

/// Makes both known on a connection.
///
/// # Errors
/// SQLite's, when it has no memory.
pub(crate) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_aggregate_function("latency_sum", 1, flags, LatencySum)?;
    connection.create_aggregate_function("newest_ids", 3, flags, NewestIds)
}

struct LatencySum;

impl Aggregate<Vec<u64>, Vec<u8>> for LatencySum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Vec<u64>> {
        Ok(vec![0; BUCKETS])
    }

    fn step(&self, context: &mut Context<'_>, sums: &mut Vec<u64>) -> rusqlite::Result<()> {
        for (bucket, count) in decode(context.get_raw(0).as_blob().unwrap_or_default()) {
            if let Some(sum) = sums.get_mut(usize::from(bucket)) {
                *sum = sum.saturating_add(count);
            }
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sums: Option<Vec<u64>>) -> rusqlite::Result<Vec<u8>> {
        let mut encoded = Vec::new();
        let sums = sums.unwrap_or_default();
        encode((0_u16..).zip(sums), |byte| encoded.push(byte));
        Ok(encoded)
    }
}

/// The ids of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Newest {
    /// Segment, first and last id of the row with the greatest last id; `None` where no row has ids.
    pub span: Option<(i64, i64, i64)>,
    /// The greatest that any row names, ascending, at most `IDS`.
    pub ids: Vec<i64>,
}

impl Newest {
    /// Reads what `newest_ids` gives. What is damaged is left out.
    pub fn read(bytes: &[u8]) -> Self {
        let (numbers, _) = bytes.as_chunks::<8>();
        let numbers: Vec<i64> = numbers.iter().copied().map(i64::from_be_bytes).collect();
        match *numbers.as_slice() {
            [segment, first, last, ref ids @ ..] => Self {
                span: Some((segment, first, last)),
                ids: ids.to_vec(),
            },
            _ => Self::default(),
        }
    }

    fn add(&mut self, segment: i64, first: i64, last: i64) {
        if self.span.is_none_or(|(.., newest)| newest < last) {
            self.span = Some((segment, first, last));
        }
        for id in [first, last] {
            if let Err(at) = self.ids.binary_search(&id) {
                self.ids.insert(at, id);
            }
        }
        let beyond = self.ids.len().saturating_sub(IDS);
        self.ids.drain(..beyond);
    }
}

struct NewestIds;

impl Aggregate<Newest, Vec<u8>> for NewestIds {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Newest> {
        Ok(Newest::default())
    }

    fn step(&self, context: &mut Context<'_>, newest: &mut Newest) -> rusqlite::Result<()> {
        let (segment, first, last): (i64, Option<i64>, Option<i64>) =
            (context.get(0)?, context.get(1)?, context.get(2)?);
        if let (Some(first), Some(last)) = (first, last) {
            newest.add(segment, first, last);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, newest: Option<Newest>) -> rusqlite::Result<Vec<u8>> {
        let newest = newest.unwrap_or_default();
        let span = newest
            .span
            .map(|(segment, first, last)| [segment, first, last]);
        let numbers = span.into_iter().flatten().chain(newest.ids);
        Ok(numbers.flat_map(i64::to_be_bytes).collect())
    }
}

/// So many ids of a group are named.
const IDS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed() {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        let one = |counts: &[(u16, u64)]| {
            let mut bytes = Vec::new();
            encode(counts.iter().copied(), |byte| bytes.push(byte));
            bytes
        };
        connection
            .execute_batch("CREATE TABLE r (segment, first, last, latency)")
            .unwrap();
        for (segment, first, last, latency) in [
            (1, Some(5), Some(9), one(&[(3, 1), (511, 2)])),
            (2, None, None, one(&[])),
            (2, Some(20), Some(22), one(&[(3, 4)])),
            (1, Some(10), Some(10), one(&[(4, 1)])),
        ] {
            connection
                .execute(
                    "INSERT INTO r VALUES (?, ?, ?, ?)",
                    (segment, first, last, latency),
                )
                .unwrap();
        }
        let ask = |condition: &str| -> (Vec<u8>, Vec<u8>) {
            connection
                .query_row(
                    &format!("SELECT latency_sum(latency), newest_ids(segment, first, last) FROM r WHERE {condition}"),
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .unwrap()
        };
        let (latency, ids) = ask("true");
        assert_eq!(latency, one(&[(3, 5), (4, 1), (511, 2)]));
        let newest = Newest {
            span: Some((2, 20, 22)),
            ids: vec![10, 20, 22],
        };
        assert_eq!(Newest::read(&ids), newest);
        for nothing in ["first IS NULL", "false"] {
            let (latency, ids) = ask(nothing);
            assert_eq!((latency, Newest::read(&ids)), (vec![], Newest::default()));
        }
        assert_eq!(Newest::read(&ids[..9]), Newest::default());
    }
}
