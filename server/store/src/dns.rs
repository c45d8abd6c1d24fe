//! Rows of DNS exchanges, and of the connections that were found through them.
//!
//! Owns: one row for each, written once, and its roll-up. Ids are made from the recorder's keys, so that what is resolved
//! later can name them without anything being remembered here.

use headwater_model::{ConnectionEnd, DnsAnswer, DnsExchange, Resolution, Transport};
use headwater_redact::Text;
use rusqlite::{Connection, params};

use crate::codes::{asked_by, dns_kind, dns_outcome, evidence_name};
use crate::integer::signed;
use crate::rollup::{Key, slot_of};
use crate::state::State;
use crate::statements::{Binder, Row, Statements};

impl State {
    /// Stores a DNS exchange.
    pub(crate) fn dns(
        &mut self,
        statements: &mut Statements<'_>,
        exchange: &DnsExchange,
    ) -> rusqlite::Result<()> {
        let names = &mut self.names;
        let client = names.service(statements.connection, &exchange.client.service)?;
        let server = names.service(statements.connection, &exchange.server.service)?;
        let id = self.dns_base.saturating_add(signed(exchange.key.0));
        let start_ns = signed(exchange.start_ns);
        let (kind, is_failure) = dns_kind(exchange);
        let answer = exchange.answer.as_ref();
        let after = |at_ns: u64| signed(at_ns.saturating_sub(exchange.start_ns));
        let carrier = exchange
            .connection
            .and_then(|key| self.connections.get(key));
        let question = exchange.question.as_ref();
        let mut row = Binder::new(&mut statements.insert_dns);
        row.put(id)?;
        row.put(start_ns)?;
        row.put(answer.map(|answer| after(answer.at_ns)))?;
        row.put(after(exchange.end_ns))?;
        row.put(client)?;
        row.put(server)?;
        self.put_udp_end(&mut row, &exchange.client)?;
        self.put_udp_end(&mut row, &exchange.server)?;
        row.put(exchange.transport == Transport::Tcp)?;
        row.put(carrier.map(|known| known.id))?;
        row.put(exchange.id)?;
        row.put(question.map(|question| question.name.as_str()))?;
        row.put(question.map(|question| question.kind))?;
        row.put(question.map(|question| question.class))?;
        row.put(exchange.retries)?;
        row.put(dns_outcome(exchange.outcome))?;
        put_answer(&mut row, answer)?;
        row.put(exchange.query_bytes)?;
        row.put(answer.map_or(0, |answer| answer.bytes))?;
        row.put(is_failure.then_some(kind))?;
        row.run()?;
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

    /// An end's columns, in the order of the tables of what UDP carries.
    pub(crate) fn put_udp_end(
        &mut self,
        row: &mut impl Row,
        end: &ConnectionEnd,
    ) -> rusqlite::Result<()> {
        row.put(end.address.to_string())?;
        row.put(end.port)?;
        row.put(end.local)?;
        row.put(end.netns)?;
        row.put(self.process_id(end.process))?;
        row.put(evidence_name(end.process_evidence))
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
                asked_by(resolution.asked_by)
            ])?;
        Ok(())
    }
}

fn put_answer(row: &mut impl Row, answer: Option<&DnsAnswer>) -> rusqlite::Result<()> {
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
    row.put(answer.map(|answer| answer.rcode))?;
    row.put(flags)?;
    row.put((!addresses.is_empty()).then(|| addresses.join(",")))?;
    row.put(answer.map_or(0, |answer| answer.address_count))?;
    row.put((!aliases.is_empty()).then(|| aliases.join(",")))?;
    row.put(answer.map_or(0, |answer| answer.other_count))?;
    row.put(answer.and_then(|answer| answer.minimum_ttl_s))
}
