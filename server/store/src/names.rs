//! Services, routes and methods: names that repeat, each stored once. Routes are in `routes`.
//!
//! Owns: their caps. Names come from strangers, and roll-ups have a row for each combination, so distinct ones are limited;
//! what is beyond is `(other)`, and how many were is told in coverage. After a roll-back the tables are read again.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use headwater_model::Service;
use rusqlite::{Connection, params};

use crate::codes::service_kind;
use crate::ledger::FastMap;
use crate::routes::Routes;
use std::hash::BuildHasher;

/// All names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// By name; several kinds and ports may share one.
    services: FastMap<Box<str>, Vec<KnownService>>,
    service_count: usize,
    routes: Routes,
    pub(crate) methods: Methods,
    overflow: Overflow,
}

#[derive(Debug)]
struct KnownService {
    kind: &'static str,
    port: u16,
    id: i64,
}

impl Names {
    /// Reads what the store knows.
    pub(crate) fn load(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.services.clear();
        self.service_count = 0;
        let mut statement = connection.prepare("SELECT id, kind, name, port FROM service")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let kind: String = row.get(1)?;
            let Some(kind) = KINDS.into_iter().find(|known| *known == kind) else {
                continue;
            };
            self.know_service(kind, row.get(2)?, row.get(3)?, row.get(0)?);
        }
        self.routes.load(connection)
    }

    /// The id of a service.
    pub(crate) fn service(
        &mut self,
        connection: &Connection,
        service: &Service,
    ) -> rusqlite::Result<i64> {
        let (kind, name) = (service_kind(service.kind), service.name.as_str());
        let port = service.port.unwrap_or(0);
        if let Some(id) = self.known_service(kind, name, port) {
            return Ok(id);
        }
        if self.service_count < MOST_SERVICES {
            return self.new_service(connection, kind, name, port);
        }
        self.overflow.add(&(kind, name, port));
        match self.known_service(kind, OTHER, 0) {
            Some(id) => Ok(id),
            None => self.new_service(connection, kind, OTHER, 0),
        }
    }

    /// The id of a route of `service`; `is_good` says whether the server knew the path.
    pub(crate) fn route(
        &mut self,
        connection: &Connection,
        service: i64,
        template: &str,
        is_good: bool,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.routes.get(connection, service, template, is_good)? {
            return Ok(id);
        }
        self.overflow.add(&(service, template));
        self.routes.other(connection, service)
    }

    /// The number of a method; see `Methods::name`.
    pub(crate) fn method(&mut self, name: &str) -> u16 {
        let known = self.methods.0.iter().position(|known| **known == *name);
        if let Some(number) = known.and_then(|index| u16::try_from(index).ok()) {
            return number;
        }
        let room = self.methods.0.len() < MOST_METHODS && name.len() <= LONGEST_METHOD;
        if !room {
            self.overflow.add(&name);
            return OTHER_METHOD;
        }
        self.methods.0.push(name.into());
        u16::try_from(self.methods.0.len() - 1).unwrap_or(OTHER_METHOD)
    }

    /// How many distinct names were beyond the caps since the last call. A name that comes again is told again, but not
    /// before `OVERFLOW_NS` have passed: a window that begins later has to say so, too.
    pub(crate) fn take_overflow(&mut self, now_ns: u64) -> u64 {
        let overflow = &mut self.overflow;
        if now_ns.abs_diff(overflow.since_ns) >= OVERFLOW_NS {
            overflow.since_ns = now_ns;
            overflow.seen.clear();
        }
        std::mem::take(&mut overflow.fresh)
    }

    /// Whether names that no row uses any more should be looked for.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.service_count >= MOST_SERVICES / 4 * 3 || self.routes.is_nearly_full()
    }

    fn known_service(&self, kind: &str, name: &str, port: u16) -> Option<i64> {
        let same_name = self.services.get(name)?;
        let found = same_name
            .iter()
            .find(|known| known.kind == kind && known.port == port);
        found.map(|known| known.id)
    }

    fn new_service(
        &mut self,
        connection: &Connection,
        kind: &'static str,
        name: &str,
        port: u16,
    ) -> rusqlite::Result<i64> {
        connection
            .prepare_cached("INSERT INTO service (kind, name, port) VALUES (?, ?, ?)")?
            .execute(params![kind, name, port])?;
        let id = connection.last_insert_rowid();
        self.know_service(kind, name.into(), port, id);
        Ok(id)
    }

    fn know_service(&mut self, kind: &'static str, name: Box<str>, port: u16, id: i64) {
        let known = KnownService { kind, port, id };
        self.services.entry(name).or_default().push(known);
        self.service_count += 1;
    }
}

/// Methods seen since the writer was opened; the first is the empty one of failed connections.
#[derive(Debug)]
pub(crate) struct Methods(Vec<Box<str>>);

impl Default for Methods {
    fn default() -> Self {
        Self(vec!["".into(), "GET".into(), "POST".into()])
    }
}

impl Methods {
    /// The method of that number.
    pub(crate) fn name(&self, number: u16) -> &str {
        self.0
            .get(usize::from(number))
            .map_or("_OTHER", |name| name)
    }
}

/// Counts distinct names beyond the caps, by their hashes, as far as its own cap reaches.
#[derive(Debug, Default)]
struct Overflow {
    seen: HashSet<u64, RandomState>,
    hash: RandomState,
    fresh: u64,
    /// When what was seen was last forgotten.
    since_ns: u64,
}

impl Overflow {
    fn add(&mut self, name: &impl std::hash::Hash) {
        if self.seen.len() < MOST_COUNTED && self.seen.insert(self.hash.hash_one(name)) {
            self.fresh += 1;
        }
    }
}

const KINDS: [&str; 5] = ["container", "unit", "program", "host", "address"];
pub(crate) const OTHER: &str = "(other)";
pub(crate) const MOST_SERVICES: usize = 2_000;
const MOST_METHODS: usize = 64;
const LONGEST_METHOD: usize = 32;
/// `Methods::name` of what is beyond the cap (OpenTelemetry's `_OTHER`).
const OTHER_METHOD: u16 = u16::MAX;
/// As long as a row of coverage may become.
const OVERFLOW_NS: u64 = 10_000_000_000;
const MOST_COUNTED: usize = 16_384;
