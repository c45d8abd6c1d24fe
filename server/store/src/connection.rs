//! Rows of connections.
//!
//! Owns: one row for each, rewritten when it changes, and the roll-up of attempts on which nothing was exchanged.

use std::net::IpAddr;

use headwater_model::{CloseReason, Connection, ConnectionEnd, ProcessKey, Proxied, TlsFailure};
use rusqlite::params;

use crate::codes::{close_reason, connection_kind, evidence_name, tls_kind};
use crate::drops::packet_drops;
use crate::http2::http2;
use crate::icmp::icmp;
use crate::integer::signed;
use crate::rollup::{Key, slot_of};
use crate::state::State;
use crate::statements::{Binder, Row, Statements};
use crate::tcp::tcp;
use crate::tls;

/// A connection that has a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownConnection {
    pub(crate) id: i64,
    pub(crate) client_service: i64,
    pub(crate) server_service: i64,
    pub(crate) has_exchanges: bool,
    pub(crate) client_process: Option<ProcessKey>,
    pub(crate) server_process: Option<ProcessKey>,
    has_ended: bool,
    is_counted: bool,
}

impl State {
    /// Stores a connection, or what has changed of it.
    pub(crate) fn connection(
        &mut self,
        statements: &mut Statements<'_>,
        connection: &Connection,
    ) -> rusqlite::Result<()> {
        let before = self.connections.get(connection.key);
        let names = &mut self.names;
        let client_service = names.service(statements.connection, &connection.client.service)?;
        let server_service = names.service(statements.connection, &connection.server.service)?;
        let mut known = before.unwrap_or(KnownConnection {
            id: self.ids.connection,
            client_service,
            server_service,
            has_exchanges: false,
            client_process: None,
            server_process: None,
            has_ended: false,
            is_counted: false,
        });
        (known.client_service, known.server_service) = (client_service, server_service);
        known.client_process = connection.client.process;
        known.server_process = connection.server.process;
        self.write_connection(statements, connection, known, before.is_none())?;
        if let Some(resolution) = &connection.resolution {
            self.resolution(statements.connection, known.id, resolution)?;
        }
        if let Some(tls) = &connection.tls {
            tls::write(statements.connection, known.id, tls, connection.start_ns)?;
        }
        if let Some(proxied) = &connection.proxied {
            write_proxied(
                statements.connection,
                known.id,
                proxied,
                connection.start_ns,
            )?;
        }
        if before.is_none() {
            self.ids.connection += 1;
        }
        self.count_failure(connection, &mut known);
        let ended = connection.close_reason != CloseReason::Open && !known.has_ended;
        if ended {
            known.has_ended = true;
            self.ended.push_back((connection.key, self.batch));
        }
        // Beyond the cap a connection has its row, and its exchanges are counted as not stored.
        if before.is_some() || self.connections.len() < MOST_CONNECTIONS {
            self.connections.set(connection.key, known);
        }
        Ok(())
    }

    fn write_connection(
        &mut self,
        statements: &mut Statements<'_>,
        connection: &Connection,
        known: KnownConnection,
        is_new: bool,
    ) -> rusqlite::Result<()> {
        let (client, server) = (&connection.client, &connection.server);
        let statement = if is_new {
            &mut statements.insert_connection
        } else {
            &mut statements.update_connection
        };
        let mut row = Binder::new(statement);
        row.put(known.id)?;
        row.put(self.run_id)?;
        row.put(signed(connection.start_ns))?;
        row.put(connection.end_ns.map(signed))?;
        row.put(close_reason(connection.close_reason))?;
        row.put(connection.joined_midstream)?;
        row.put(connection.protocol)?;
        self.put_end(&mut row, client, server, known.client_service)?;
        self.put_end(&mut row, server, client, known.server_service)?;
        row.put(signed(connection.client_bytes))?;
        row.put(signed(connection.server_bytes))?;
        row.put(connection.retransmits)?;
        row.put(tcp(&connection.client_tcp, connection.start_ns))?;
        row.put(tcp(&connection.server_tcp, connection.start_ns))?;
        row.put(packet_drops(&connection.drops, connection.start_ns))?;
        let http2_text = connection.http2.as_deref();
        row.put(http2_text.and_then(|facts| http2(facts, connection.start_ns)))?;
        let errors = connection.icmp.as_deref();
        row.put(errors.map(|errors| icmp(errors, connection.start_ns)))?;
        row.run()?;
        Ok(())
    }

    fn put_end(
        &mut self,
        row: &mut Binder<'_, '_>,
        end: &ConnectionEnd,
        other: &ConnectionEnd,
        service: i64,
    ) -> rusqlite::Result<()> {
        let translated =
            end.local && (end.peer_address, end.peer_port) != (other.address, other.port);
        row.put(printed(end.address))?;
        row.put(end.port)?;
        row.put(translated.then(|| printed(end.peer_address)))?;
        row.put(translated.then_some(end.peer_port))?;
        row.put(end.local)?;
        row.put(end.netns)?;
        row.put(self.process_id(end.process))?;
        row.put(evidence_name(end.process_evidence))?;
        row.put(service)
    }

    /// An attempt that came to nothing, or a handshake of TLS that failed, is counted once.
    fn count_failure(&mut self, connection: &Connection, known: &mut KnownConnection) {
        let tls = connection.tls.as_ref().and_then(|tls| tls.failure);
        let kind = match tls {
            // A request in clear has failed as well then, and is told.
            Some(TlsFailure::ClientSpokeNoTls) if connection.protocol != Some("tls") => None,
            // Behind a CONNECT there is an exchange that went well.
            Some(failure) => Some(tls_kind(failure).0),
            None => connection_kind(connection.close_reason).filter(|_| !known.has_exchanges),
        };
        let Some(kind) = kind.filter(|_| !known.is_counted) else {
            return;
        };
        known.is_counted = true;
        let key = Key {
            segment: self.segment.id,
            slot_ns: slot_of(connection.start_ns),
            server: known.server_service,
            client: known.client_service,
            route: 0,
            method: 0,
            kind,
        };
        self.rollups
            .add(key, signed(connection.start_ns), None, None);
    }
}

fn write_proxied(
    connection: &rusqlite::Connection,
    id: i64,
    proxied: &Proxied,
    start_ns: u64,
) -> rusqlite::Result<()> {
    let (source, destination) = proxied.addresses.unzip();
    connection
        .prepare_cached("REPLACE INTO connection_proxied VALUES (?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![
            id,
            proxied.version,
            signed(proxied.at_ns.saturating_sub(start_ns)),
            source.map(|source| printed(source.ip())),
            source.map(|source| source.port()),
            destination.map(|destination| printed(destination.ip())),
            destination.map(|destination| destination.port()),
        ])?;
    Ok(())
}

fn printed(address: IpAddr) -> String {
    address.to_string()
}

const MOST_CONNECTIONS: usize = 65_536;
