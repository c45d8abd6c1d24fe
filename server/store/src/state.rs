//! What the writer remembers between rows: ids given out, and which row stands for which of the recorder's keys.
//!
//! Owns: the caps of that memory, and going back to the last committed batch. Each kind of row has its file (`exchange`,
//! `connection`, `process`, `coverage`), all of which work on this. Invariant: after `restore` nothing here names a row
//! that is not in the store.

use std::collections::VecDeque;

use headwater_model::{ConnectionKey, CoverageKind, Event, ExchangeKey, ProcessKey, UdpFlowKey};
use headwater_pack::{DNS_EXCHANGES, EXCHANGES, Packer};
use rusqlite::{Connection, params};

use crate::connection::KnownConnection;
use crate::coverage::{CoverageRows, Unseen};
use crate::drops;
use crate::exchange::OpenExchange;
use crate::identifiers::{Identifiers, When};
use crate::ledger::Ledger;
use crate::merge::Merges;
use crate::names::Names;
use crate::process::KnownProcess;
use crate::rollup::{Key, Rollups};
use crate::run::Begun;
use crate::segment::{Beginning, Segment};
use crate::spelled::Spelled;
use crate::statements::Statements;
use crate::templates::Templates;
use crate::udp_flow::KnownUdpFlow;
use crate::{codes, packs};

/// The next ids, never given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) exchange: i64,
    pub(crate) connection: i64,
    pub(crate) process: i64,
    pub(crate) dns: i64,
}

/// What the writer remembers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) run_id: i64,
    /// The time of the last commit.
    pub(crate) now_ns: u64,
    pub(crate) ids: Ids,
    pub(crate) segment: Segment,
    committed: (Ids, Segment),
    pub(crate) connections: Ledger<ConnectionKey, KnownConnection>,
    /// Connections that have ended, oldest first, and the batch in which they did.
    pub(crate) ended: VecDeque<(ConnectionKey, u64)>,
    pub(crate) processes: Ledger<ProcessKey, KnownProcess>,
    /// What is added to a DNS exchange's key to make its id: keys count up from one.
    pub(crate) dns_base: i64,
    /// UDP flows that have a row.
    pub(crate) udp_flows: Ledger<UdpFlowKey, KnownUdpFlow>,
    /// Exchanges stored before their end.
    pub(crate) open: Ledger<ExchangeKey, OpenExchange>,
    /// Exchanges stored as open whose end was lost with a batch.
    stuck: Vec<OpenExchange>,
    pub(crate) names: Names,
    pub(crate) templates: Templates,
    pub(crate) rollups: Rollups,
    /// Exchanges of this batch that are not stored yet.
    pub(crate) pack: Packer,
    /// Those of DNS,
    pub(crate) dns_pack: Packer,
    /// and the addresses of the last row of what UDP carries: client, server, answer.
    pub(crate) spelled: [Spelled; 3],
    /// Identifiers of exchanges behind the last run of their index.
    pub(crate) identifiers: Identifiers,
    /// Of segments that are closed.
    pub(crate) merges: Merges,
    pub(crate) coverage: CoverageRows,
    /// Number of the batch.
    pub(crate) batch: u64,
    /// The next id of a process when they were last looked through.
    pruned_process: i64,
    /// Exchanges not stored since their connection was not remembered, and the last one's start.
    pub(crate) orphans: (u64, u64),
}

impl State {
    /// Reads what goes on from the runs before.
    pub(crate) fn load(
        connection: &Connection,
        begun: Begun,
        ids: Ids,
        now_ns: u64,
    ) -> rusqlite::Result<Self> {
        let beginning = Beginning {
            now_ns,
            exchange_id: ids.exchange,
            connection_id: ids.connection,
            live_connections: Vec::new(),
            is_set_back: begun.is_set_back,
        };
        let segment = Segment::load(connection, &beginning)?;
        let mut state = Self {
            run_id: begun.run_id,
            now_ns,
            ids,
            segment,
            committed: (ids, segment),
            connections: Ledger::default(),
            ended: VecDeque::new(),
            processes: Ledger::default(),
            dns_base: ids.dns - 1,
            udp_flows: Ledger::default(),
            open: Ledger::default(),
            stuck: Vec::new(),
            names: Names::default(),
            templates: Templates::default(),
            rollups: Rollups::default(),
            pack: Packer::new(&EXCHANGES),
            dns_pack: Packer::new(&DNS_EXCHANGES),
            spelled: Default::default(),
            identifiers: Identifiers::default(),
            merges: Merges::load(connection)?,
            coverage: CoverageRows::default(),
            batch: 0,
            pruned_process: 0,
            orphans: (0, 0),
        };
        state.reload(connection)?;
        Ok(state)
    }

    /// Stores one event.
    pub(crate) fn apply(
        &mut self,
        statements: &mut Statements<'_>,
        event: &Event,
    ) -> rusqlite::Result<()> {
        match event {
            Event::Exchange(exchange) => self.exchange(statements, exchange),
            Event::Connection(connection) => self.connection(statements, connection),
            Event::Process(process) => self.process(statements.connection, process),
            Event::ProcessEnd(end) => self.process_ended(statements.connection, end),
            Event::Dns(exchange) => self.dns(statements, exchange),
            Event::UdpFlow(flow) => self.udp_flow(statements.connection, flow),
            Event::KernelDrops(drops) => {
                drops::kernel_drops(statements.connection, self.run_id, drops)
            }
            Event::Coverage(coverage) => {
                self.coverage
                    .write(statements.connection, self.run_id, coverage.into())
            }
        }
    }

    /// Writes what the batch has summed up, and the next ids.
    pub(crate) fn finish(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.end_stuck(connection)?;
        for (layout, packer) in [
            (&EXCHANGES, &mut self.pack),
            (&DNS_EXCHANGES, &mut self.dns_pack),
        ] {
            if packer.size().0 > 0 {
                let sql = packs::insert(layout, self.segment.id);
                packs::store(packer, &mut connection.prepare_cached(&sql)?)?;
            }
        }
        let when = When::Due {
            now_ns: self.now_ns,
        };
        self.identifiers.write(connection, self.segment.id, when)?;
        self.merges.step(connection, self.segment.id)?;
        let open = self.segment.id;
        self.rollups.write(connection, open, &self.names.methods)?;
        self.segment.write_block(connection)?;
        for (kind, (count, at_ns), detail) in [
            (
                CoverageKind::IdentifiersCapped,
                (self.identifiers.take_left_out(), self.now_ns),
                None,
            ),
            (
                CoverageKind::NameOverflow,
                (self.names.take_overflow(self.now_ns), self.now_ns),
                None,
            ),
            (
                CoverageKind::ConnectionEvicted,
                self.orphans,
                Some("exchanges whose connection the writer did not remember"),
            ),
        ] {
            if count > 0 {
                let unseen = Unseen {
                    kind,
                    from_ns: at_ns,
                    until_ns: at_ns,
                    count,
                    detail,
                };
                self.coverage.write(connection, self.run_id, unseen)?;
            }
        }
        self.orphans = (0, 0);
        for (key, now, before) in [
            (NEXT_EXCHANGE, self.ids.exchange, self.committed.0.exchange),
            (
                NEXT_CONNECTION,
                self.ids.connection,
                self.committed.0.connection,
            ),
            (NEXT_DNS, self.ids.dns, self.committed.0.dns),
        ] {
            if now != before {
                connection
                    .prepare_cached("UPDATE meta SET value = ? WHERE key = ?")?
                    .execute(params![now.to_string(), key])?;
            }
        }
        Ok(())
    }

    /// The batch is committed.
    pub(crate) fn confirm(&mut self) {
        self.segment.confirm();
        self.committed = (self.ids, self.segment);
        self.connections.confirm();
        self.processes.confirm();
        self.udp_flows.confirm();
        self.open.confirm();
        self.identifiers.confirm();
        self.stuck.clear();
        self.batch += 1;
        self.forget_ended();
        self.forget_udp_flows();
    }

    /// The batch was rolled back.
    pub(crate) fn restore(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        (self.ids, self.segment) = self.committed;
        self.connections.restore();
        self.processes.restore();
        self.udp_flows.restore();
        self.identifiers.restore();
        let batch = self.batch;
        self.ended.retain(|(_, ended_in)| *ended_in < batch);
        for (key, open) in self.open.restore() {
            if self.open.get(key).is_some() && self.stuck.len() < MOST_STUCK {
                self.stuck.push(open);
            }
            self.open.forget_one(key);
        }
        self.rollups.clear();
        self.pack.clear();
        self.dns_pack.clear();
        self.coverage.clear();
        self.reload(connection)
    }

    /// No key from before stands for a row any more.
    pub(crate) fn forget_keys(&mut self) {
        self.connections = Ledger::default();
        self.ended.clear();
        self.processes = Ledger::default();
        self.open = Ledger::default();
        self.udp_flows = Ledger::default();
        self.dns_base = self.ids.dns - 1;
    }

    /// Closes the segment and begins the next.
    pub(crate) fn roll(
        &mut self,
        connection: &Connection,
        now_ns: u64,
        is_set_back: bool,
    ) -> rusqlite::Result<()> {
        let beginning = Beginning {
            now_ns,
            exchange_id: self.ids.exchange,
            connection_id: self.ids.connection,
            live_connections: self.connections.values().map(|known| known.id).collect(),
            is_set_back,
        };
        self.end_identifiers(connection)?;
        self.merges.add(self.segment.id);
        self.segment.roll(connection, &beginning)?;
        self.templates.load(connection, self.segment.id)
    }

    /// Nothing that is stored so far is left to be looked through.
    pub(crate) fn end_identifiers(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.identifiers
            .write(connection, self.segment.id, When::Now)
    }

    /// Whether the segment has anything that a limit could drop.
    pub(crate) fn segment_has_data(&self) -> bool {
        self.segment.has_data(self.ids.connection)
    }

    /// Reads names and header blocks again.
    pub(crate) fn reload(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.names.load(connection)?;
        self.templates.load(connection, self.segment.id)
    }

    /// Ended connections are remembered a little longer, for exchanges that are told after them.
    fn forget_ended(&mut self) {
        while let Some((key, batch)) = self.ended.front().copied() {
            let crowded = self.ended.len() > MOST_ENDED;
            if batch + BATCHES_AFTER_END > self.batch && !crowded {
                return;
            }
            self.connections.forget_one(key);
            self.ended.pop_front();
        }
    }

    /// An exchange whose end was lost is at least not shown as if it went on.
    fn end_stuck(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for OpenExchange { id, key, .. } in &self.stuck {
            let sql = format!(
                "UPDATE exchange_{} SET outcome = ? WHERE id = ?",
                key.segment
            );
            connection
                .prepare_cached(&sql)?
                .execute(params![codes::TRUNCATED, id])?;
            if key.kind == codes::OPEN {
                let kind = codes::NO_FAILURE;
                self.rollups.subtract(*key);
                self.rollups
                    .add(Key { kind, ..*key }, key.slot_ns, Some(*id), None);
            }
        }
        Ok(())
    }

    /// How many processes came since they were last looked through.
    pub(crate) fn processes_since_prune(&self) -> i64 {
        self.ids.process - self.pruned_process
    }

    /// They were looked through.
    pub(crate) fn processes_pruned(&mut self) {
        self.pruned_process = self.ids.process;
    }

    /// After retention: what lay in the segments before `oldest` is gone.
    pub(crate) fn forget_segments(&mut self, oldest: i64) {
        self.open.forget(|_, open| open.key.segment >= oldest);
        self.udp_flows.forget(|_, flow| flow.segment >= oldest);
        self.merges.forget(oldest);
        self.coverage.clear();
        self.forget_processes();
    }
}

/// Keys of `meta`.
pub(crate) const NEXT_EXCHANGE: &str = "next_exchange_id";
pub(crate) const NEXT_CONNECTION: &str = "next_connection_id";
pub(crate) const NEXT_DNS: &str = "next_dns_exchange_id";
const MOST_STUCK: usize = 4_096;
const MOST_ENDED: usize = 16_384;
const BATCHES_AFTER_END: u64 = 8;
