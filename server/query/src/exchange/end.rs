//! The two ends of an exchange's connection.

use super::{EndDetail, ProcessBegin, ProcessExit, Replaced};
use crate::QueryError;
use crate::db::{Row, query};
use crate::integer::{narrow, unsigned};
use crate::names::{ServiceNames, with_port};
use crate::snapshot::Snapshot;

/// Both ends, and what the connection says of itself.
pub(crate) struct Ends {
    pub(crate) client: EndDetail,
    pub(crate) server: EndDetail,
    pub(crate) close_reason: String,
    pub(crate) joined_midstream: bool,
}

/// Reads them. `services` stand in when the connection's row is gone.
pub(crate) fn load(
    snapshot: &mut Snapshot,
    connection: i64,
    services: (i64, i64),
) -> Result<Ends, QueryError> {
    let row = query("SELECT * FROM connection WHERE id = ?")
        .bind(connection)
        .fetch_optional(snapshot.connection())?;
    let names = ServiceNames::load(snapshot, [services.0, services.1].into())?;
    let (mut client, mut server) = (unknown(), unknown());
    let (mut close_reason, mut joined_midstream) = ("unknown".to_owned(), false);
    if let Some(row) = row {
        client = end(&row, &CLIENT)?;
        server = end(&row, &SERVER)?;
        process(snapshot, &row, CLIENT.process_id, &mut client)?;
        process(snapshot, &row, SERVER.process_id, &mut server)?;
        server.replaces = replaced(snapshot, row.try_get(SERVER.process_id)?)?;
        close_reason = row.try_get("close_reason")?;
        joined_midstream = row.try_get("joined_midstream")?;
    }
    for (end, service) in [(&mut client, services.0), (&mut server, services.1)] {
        let name = names.of(service);
        (end.service, end.service_kind) = (name.shown, name.kind);
    }
    Ok(Ends {
        client,
        server,
        close_reason,
        joined_midstream,
    })
}

/// Names of one end's columns.
struct Columns {
    address: &'static str,
    port: &'static str,
    peer_address: &'static str,
    peer_port: &'static str,
    local: &'static str,
    netns: &'static str,
    process_id: &'static str,
    evidence: &'static str,
}

const CLIENT: Columns = Columns {
    address: "client_address",
    port: "client_port",
    peer_address: "client_peer_address",
    peer_port: "client_peer_port",
    local: "client_local",
    netns: "client_netns",
    process_id: "client_process_id",
    evidence: "client_process_evidence",
};
const SERVER: Columns = Columns {
    address: "server_address",
    port: "server_port",
    peer_address: "server_peer_address",
    peer_port: "server_peer_port",
    local: "server_local",
    netns: "server_netns",
    process_id: "server_process_id",
    evidence: "server_process_evidence",
};

fn end(row: &Row, columns: &Columns) -> Result<EndDetail, QueryError> {
    let peer: Option<&str> = row.try_get(columns.peer_address)?;
    let peer_port: Option<i64> = row.try_get(columns.peer_port)?;
    Ok(EndDetail {
        address: with_port(
            row.try_get(columns.address)?,
            narrow(row.try_get(columns.port)?),
        ),
        peer_as_seen: peer.map(|peer| with_port(peer, narrow(peer_port.unwrap_or(0)))),
        local: row.try_get(columns.local)?,
        netns: narrow(row.try_get(columns.netns)?),
        process_evidence: row.try_get(columns.evidence)?,
        ..unknown()
    })
}

fn process(
    snapshot: &mut Snapshot,
    connection: &Row,
    column: &str,
    end: &mut EndDetail,
) -> Result<(), QueryError> {
    let Some(id): Option<i64> = connection.try_get(column)? else {
        return Ok(());
    };
    let row = query(
        "SELECT pid, executable_name, executable_path, command_line, cgroup, container_id, end_ns, exit_code, exit_signal, \
         start_ns, forked_from, executed_ns FROM process WHERE id = ?",
    )
    .bind(id)
    .fetch_optional(snapshot.connection())?;
    if let Some(row) = row {
        let name: String = row.try_get(1)?;
        end.pid = Some(narrow(row.try_get(0)?));
        end.executable = Some(row.try_get::<Option<String>>(2)?.unwrap_or(name));
        end.command_line = row.try_get(3)?;
        end.cgroup = row.try_get(4)?;
        end.container_id = row.try_get(5)?;
        end.process_end_ns = row.try_get(6)?;
        end.process_exit = exit(row.try_get(7)?, row.try_get(8)?);
        let parent: Option<i64> = row.try_get(10)?;
        end.process_begin = ProcessBegin {
            start_ns: row.try_get(9)?,
            forked_from: parent.map(narrow),
            executed_ns: row.try_get(11)?,
        };
    }
    Ok(())
}

fn exit(code: Option<u8>, signal: Option<u8>) -> Option<ProcessExit> {
    match (code, signal) {
        (Some(code), _) => Some(ProcessExit::Code(code)),
        (None, Some(signal)) => Some(ProcessExit::Signal(signal)),
        (None, None) => None,
    }
}

/// Who restarts a program waits no longer than this.
const RESTART_NS: i64 = 600_000_000_000;
/// Starts are told in clock ticks.
const TICK_NS: i64 = 10_000_000;

/// The last process of the same program that had ended when this one began: the same file with the same arguments in the
/// same cgroup.
fn replaced(snapshot: &mut Snapshot, process: Option<i64>) -> Result<Option<Replaced>, QueryError> {
    let Some(process) = process else {
        return Ok(None);
    };
    let row = query(
        "SELECT old.pid, old.exit_code, old.exit_signal, old.end_ns, new.start_ns FROM process AS new JOIN process AS old \
         ON old.service_id = new.service_id AND old.executable_path IS new.executable_path \
         AND old.command_line IS new.command_line AND old.cgroup IS new.cgroup AND old.id <> new.id \
         WHERE new.id = ?1 AND old.end_ns BETWEEN new.start_ns - ?2 AND new.start_ns + ?3 ORDER BY old.end_ns DESC LIMIT 1",
    )
    .bind(process)
    .bind(RESTART_NS)
    .bind(TICK_NS)
    .fetch_optional(snapshot.connection())?;
    let Some(row) = row else {
        return Ok(None);
    };
    let (end_ns, start_ns): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
    Ok(Some(Replaced {
        pid: narrow(row.try_get(0)?),
        exit: exit(row.try_get(1)?, row.try_get(2)?),
        after_ns: unsigned((start_ns - end_ns).max(0)),
        start_ns,
    }))
}

fn unknown() -> EndDetail {
    EndDetail {
        service: String::new(),
        service_kind: String::new(),
        address: "unknown".to_owned(),
        peer_as_seen: None,
        local: false,
        netns: 0,
        pid: None,
        executable: None,
        command_line: None,
        cgroup: None,
        container_id: None,
        replaces: None,
        process_begin: ProcessBegin::default(),
        process_end_ns: None,
        process_exit: None,
        process_evidence: "none".to_owned(),
    }
}
