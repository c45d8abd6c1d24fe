//! Rows of DNS exchanges, and of the connections that were found through them.
//!
//! Owns: one row for each, written once, and its roll-up. Ids are made from the recorder's keys, so that what is resolved
//! later can name them without anything being remembered here.

use headwater_model::{ConnectionEnd, DnsAnswer, DnsExchange, Resolution, Transport};
use headwater_redact::Text;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use crate::codes::{dns_kind, dns_outcome, evidence_name};
use crate::integer::signed;
use crate::rollup::{Key, slot_of};
use crate::state::State;

impl State {
    /// Stores a DNS exchange.
    pub(crate) fn dns(
        &mut self,
        connection: &Connection,
        exchange: &DnsExchange,
    ) -> rusqlite::Result<()> {
        let client = self.names.service(connection, &exchange.client.service)?;
        let server = self.names.service(connection, &exchange.server.service)?;
        let id = self.dns_base.saturating_add(signed(exchange.key.0));
        let start_ns = signed(exchange.start_ns);
        let (kind, is_failure) = dns_kind(exchange);
        let answer = exchange.answer.as_ref();
        let after = |at_ns: u64| signed(at_ns.saturating_sub(exchange.start_ns));
        let carrier = exchange
            .connection
            .and_then(|key| self.connections.get(key));
        let mut row: Vec<Value> = vec![
            id.into(),
            start_ns.into(),
            answer.map(|answer| after(answer.at_ns)).into(),
            after(exchange.end_ns).into(),
            client.into(),
            server.into(),
        ];
        self.put_dns_end(&mut row, &exchange.client);
        self.put_dns_end(&mut row, &exchange.server);
        let question = exchange.question.as_ref();
        row.extend([
            i64::from(exchange.transport == Transport::Tcp).into(),
            carrier.map(|known| known.id).into(),
            exchange.id.into(),
            question
                .map(|question| question.name.as_str().to_owned())
                .into(),
            question.map(|question| question.kind).into(),
            question.map(|question| question.class).into(),
            exchange.retries.into(),
            dns_outcome(exchange.outcome).into(),
        ]);
        put_answer(&mut row, answer);
        row.extend([
            exchange.query_bytes.into(),
            answer.map_or(0, |answer| answer.bytes).into(),
            is_failure.then_some(kind).into(),
        ]);
        let sql = insert("dns_exchange", self.segment.id, row.len());
        connection
            .prepare_cached(&sql)?
            .execute(params_from_iter(row))?;
        self.ids.dns = self.ids.dns.max(id.saturating_add(1));
        self.segment.add_other(start_ns);
        let key = Key {
            segment: self.segment.id,
            slot_ns: slot_of(exchange.start_ns),
            server,
            client,
            route: 0,
            method: self.names.method("DNS"),
            kind,
        };
        self.rollups
            .add(key, start_ns, Some(id), exchange.latency_ns());
        Ok(())
    }

    /// An end's columns, in the order of the tables.
    pub(crate) fn put_dns_end(&mut self, row: &mut Vec<Value>, end: &ConnectionEnd) {
        row.extend([
            end.address.to_string().into(),
            end.port.into(),
            end.local.into(),
            end.netns.into(),
            self.process_id(end.process).into(),
            evidence_name(end.process_evidence).to_owned().into(),
        ]);
    }

    /// Stores the name that a connection's server was found by.
    pub(crate) fn resolution(
        &self,
        connection: &Connection,
        id: i64,
        resolution: &Resolution,
    ) -> rusqlite::Result<()> {
        connection
            .prepare_cached("REPLACE INTO connection_resolution VALUES (?, ?, ?, ?, ?)")?
            .execute(params![
                id,
                self.dns_base.saturating_add(signed(resolution.exchange.0)),
                resolution.name.as_str(),
                signed(resolution.before_ns),
                evidence_name(resolution.evidence)
            ])?;
        Ok(())
    }
}

fn put_answer(row: &mut Vec<Value>, answer: Option<&DnsAnswer>) {
    let flags = answer.map_or(0, |answer| {
        i64::from(answer.authoritative)
            + 2 * i64::from(answer.truncated)
            + 4 * i64::from(answer.is_cut)
    });
    let addresses: Vec<String> = answer
        .into_iter()
        .flat_map(|answer| answer.addresses.iter().map(ToString::to_string))
        .collect();
    let aliases: Vec<&str> = answer
        .into_iter()
        .flat_map(|answer| answer.aliases.iter().map(Text::as_str))
        .collect();
    row.extend([
        answer.map(|answer| answer.rcode).into(),
        flags.into(),
        (!addresses.is_empty()).then(|| addresses.join(",")).into(),
        answer.map_or(0, |answer| answer.address_count).into(),
        (!aliases.is_empty()).then(|| aliases.join(",")).into(),
        answer.map_or(0, |answer| answer.other_count).into(),
        answer.and_then(|answer| answer.minimum_ttl_s).into(),
    ]);
}

/// The insert of a row of so many columns.
pub(crate) fn insert(table: &str, segment: i64, columns: usize) -> String {
    let marks: Vec<&str> = std::iter::repeat_n("?", columns).collect();
    format!(
        "REPLACE INTO {table}_{segment} VALUES ({})",
        marks.join(", ")
    )
}
