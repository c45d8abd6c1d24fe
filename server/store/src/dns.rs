//! Rows of DNS exchanges, and of the connections that were found through them.
//!
//! Owns: one row for each, written once, plain for a failure and else packed, and its roll-up. Ids are made from the recorder's keys, so that what is resolved
//! later can name them without anything being remembered here.

use headwater_model::{ConnectionEnd, DnsAnswer, DnsExchange, Resolution, Transport};
use headwater_redact::Text;
use rusqlite::{Connection, params};

use crate::codes::{asked_by, dns_kind, dns_outcome, evidence_name};
use crate::icmp::error as icmp_error;
use crate::integer::signed;
use crate::packs;
use crate::rollup::{Key, slot_of};
use crate::spelled::Spelled;
use crate::state::State;
use crate::statements::{Binder, Row, Statements};

/// What of a row is not in the exchange itself.
struct Place {
    id: i64,
    client: EndIds,
    server: EndIds,
    /// The connection, over TCP.
    carrier: Option<i64>,
    /// The kind of failure.
    failure: Option<u16>,
}

/// Ids of an end.
#[derive(Clone, Copy)]
pub(crate) struct EndIds {
    pub(crate) service: i64,
    pub(crate) process: Option<i64>,
}

impl State {
    /// Stores a DNS exchange.
    pub(crate) fn dns(
        &mut self,
        statements: &mut Statements<'_>,
        exchange: &DnsExchange,
    ) -> rusqlite::Result<()> {
        let (kind, is_failure) = dns_kind(exchange);
        let carrier = exchange
            .connection
            .and_then(|key| self.connections.get(key));
        let place = Place {
            id: self.dns_base.saturating_add(signed(exchange.key.0)),
            client: self.udp_end(statements.connection, &exchange.client)?,
            server: self.udp_end(statements.connection, &exchange.server)?,
            carrier: carrier.map(|known| known.id),
            failure: is_failure.then_some(kind),
        };
        // Ids of packs grow; keys do, unless a caller counts otherwise.
        if is_failure || place.id < self.ids.dns {
            let mut row = Binder::new(&mut statements.insert_dns);
            write(&mut row, exchange, &place, &mut self.spelled)?;
            row.run()?;
        } else {
            write(&mut self.dns_pack, exchange, &place, &mut self.spelled)?;
            packs::end_row(&mut self.dns_pack, &mut statements.insert_dns_pack)?;
        }
        self.ids.dns = self.ids.dns.max(place.id.saturating_add(1));
        let start_ns = signed(exchange.start_ns);
        self.segment.add_other(start_ns);
        let key = Key {
            segment: self.segment.id,
            slot_ns: slot_of(exchange.start_ns),
            server: place.server.service,
            client: place.client.service,
            route: 0,
            method: self.names.method("DNS"),
            kind,
        };
        self.rollups
            .add(key, start_ns, Some(place.id), exchange.latency_ns());
        Ok(())
    }

    /// The ids of an end of what UDP carries.
    pub(crate) fn udp_end(
        &mut self,
        connection: &Connection,
        end: &ConnectionEnd,
    ) -> rusqlite::Result<EndIds> {
        Ok(EndIds {
            service: self.names.service(connection, &end.service)?,
            process: self.process_id(end.process),
        })
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

fn write(
    row: &mut impl Row,
    exchange: &DnsExchange,
    place: &Place,
    [client, server, answers]: &mut [Spelled; 3],
) -> rusqlite::Result<()> {
    let answer = exchange.answer.as_ref();
    let question = exchange.question.as_ref();
    let after = |at_ns: u64| signed(at_ns.saturating_sub(exchange.start_ns));
    row.put(place.id)?;
    row.put(signed(exchange.start_ns))?;
    row.put(answer.map(|answer| after(answer.at_ns)))?;
    row.put(after(exchange.end_ns))?;
    row.put(place.client.service)?;
    row.put(place.server.service)?;
    put_udp_end(row, &exchange.client, place.client, client)?;
    put_udp_end(row, &exchange.server, place.server, server)?;
    row.put(exchange.transport == Transport::Tcp)?;
    row.put(place.carrier)?;
    row.put(exchange.id)?;
    row.put(question.map(|question| question.name.as_str()))?;
    row.put(question.map(|question| question.kind))?;
    row.put(question.map(|question| question.class))?;
    row.put(exchange.retries)?;
    row.put(dns_outcome(exchange.outcome))?;
    put_answer(row, answer, answers)?;
    row.put(exchange.query_bytes)?;
    row.put(answer.map_or(0, |answer| answer.bytes))?;
    row.put(place.failure)?;
    let icmp = exchange.icmp.as_ref();
    row.put(icmp.map(|error| icmp_error(error, exchange.start_ns)))
}

/// An end's columns, in the order of the tables of what UDP carries.
pub(crate) fn put_udp_end(
    row: &mut impl Row,
    end: &ConnectionEnd,
    ids: EndIds,
    spelled: &mut Spelled,
) -> rusqlite::Result<()> {
    row.put(spelled.of(&[end.address]))?;
    row.put(end.port)?;
    row.put(end.local)?;
    row.put(end.netns)?;
    row.put(ids.process)?;
    row.put(evidence_name(end.process_evidence))
}

fn put_answer(
    row: &mut impl Row,
    answer: Option<&DnsAnswer>,
    spelled: &mut Spelled,
) -> rusqlite::Result<()> {
    let flags = answer.map_or(0, |answer| {
        i64::from(answer.authoritative)
            + 2 * i64::from(answer.truncated)
            + 4 * i64::from(answer.is_cut)
    });
    let addresses = answer
        .map(|answer| answer.addresses.as_slice())
        .filter(|addresses| !addresses.is_empty());
    let aliases: Vec<&str> = answer
        .into_iter()
        .flat_map(|answer| answer.aliases.iter().map(Text::as_str))
        .collect();
    row.put(answer.map(|answer| answer.rcode))?;
    row.put(flags)?;
    row.put(addresses.map(|addresses| spelled.of(addresses)))?;
    row.put(answer.map_or(0, |answer| answer.address_count))?;
    row.put((!aliases.is_empty()).then(|| aliases.join(",")))?;
    row.put(answer.map_or(0, |answer| answer.other_count))?;
    row.put(answer.and_then(|answer| answer.minimum_ttl_s))
}
