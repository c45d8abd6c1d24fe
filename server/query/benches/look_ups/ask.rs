//! The questions, and how long their answers take.

use std::path::Path;
use std::time::Instant;

use headwater_query::{
    CompareQuery, ErrorsQuery, ServicesQuery, Store, TimeArgument, TransactionQuery,
    WindowArgument, rfc3339,
};
use tokio_util::sync::CancellationToken;

use crate::load::{HOPS, START, STEP_NS, trace_of};

/// How often each list is asked for.
const LISTS: u64 = 5;

/// Milliseconds of each answer.
#[derive(Default)]
pub(crate) struct Times {
    pub(crate) select: Vec<f64>,
    pub(crate) trace: Vec<f64>,
    pub(crate) errors: Vec<f64>,
    pub(crate) services: Vec<f64>,
    pub(crate) compare: Vec<f64>,
}

/// Who asks a store.
pub(crate) struct Asker {
    store: Store,
    /// Only reads rows by their ids.
    plain: rusqlite::Connection,
    size: u64,
    asked: u64,
    pub(crate) times: Times,
}

impl Asker {
    pub(crate) fn new(path: &Path, size: u64) -> Self {
        let plain = rusqlite::Connection::open(path).unwrap();
        headwater_pack::register(&plain).unwrap();
        Self {
            store: Store::new(path),
            plain,
            size,
            asked: 0,
            times: Times::default(),
        }
    }

    /// So many traces, of chains all over the store, each against a `SELECT` of the same rows; and the lists a few times.
    pub(crate) async fn ask(&mut self, questions: u64) {
        let chains = self.size / HOPS;
        let segments: Vec<(i64, i64)> = self
            .plain
            .prepare("SELECT id, first_exchange_id FROM segment ORDER BY id DESC")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for _ in 0..questions {
            let chain = (self.asked * 7_919 + 13) % chains;
            self.asked += 1;
            self.select(&segments, chain);
            self.trace(chain).await;
        }
        for _ in 0..LISTS {
            self.lists().await;
        }
    }

    fn select(&mut self, segments: &[(i64, i64)], chain: u64) {
        let first = i64::try_from(chain * HOPS).unwrap() + 1;
        let began = Instant::now();
        let (segment, _) = segments
            .iter()
            .find(|(_, begins)| *begins <= first)
            .unwrap();
        let sql =
            format!("SELECT * FROM exchange_rows({segment}) WHERE id IN (?1, ?1 + 1, ?1 + 2)");
        let mut statement = self.plain.prepare_cached(&sql).unwrap();
        let found = statement
            .query_map([first], |row| row.get::<_, i64>(0))
            .unwrap()
            .count();
        self.times.select.push(milliseconds(began));
        assert!(found > 0);
    }

    async fn trace(&mut self, chain: u64) {
        let query = TransactionQuery {
            id: format!("{:032x}", trace_of(chain)),
            limit: 20,
        };
        let cancel = CancellationToken::new();
        let began = Instant::now();
        let answer = self.store.transaction(&query, &cancel).await.unwrap();
        self.times.trace.push(milliseconds(began));
        assert_eq!(answer.value.len(), 3, "{:?}", answer.coverage);
    }

    async fn lists(&mut self) {
        let cancel = CancellationToken::new();
        let window = WindowArgument {
            since: Some(TimeArgument(rfc3339(START))),
            until: None,
        };
        let query = ErrorsQuery {
            window: window.clone(),
            limit: 20,
            ..ErrorsQuery::default()
        };
        let began = Instant::now();
        self.store.errors(&query, &cancel).await.unwrap();
        self.times.errors.push(milliseconds(began));
        let query = ServicesQuery {
            window,
            limit: 20,
            ..ServicesQuery::default()
        };
        let began = Instant::now();
        self.store.services(&query, &cancel).await.unwrap();
        self.times.services.push(milliseconds(began));
        let half = START + self.size * STEP_NS / 2;
        let query = CompareQuery {
            window: WindowArgument {
                since: Some(TimeArgument(rfc3339(half))),
                until: Some(TimeArgument(rfc3339(START + self.size * STEP_NS))),
            },
            limit: 20,
            ..CompareQuery::default()
        };
        let began = Instant::now();
        self.store.compare(&query, &cancel).await.unwrap();
        self.times.compare.push(milliseconds(began));
    }
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}
