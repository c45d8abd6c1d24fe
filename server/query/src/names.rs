//! Services and routes by their row numbers, as they are shown and as they are searched.

use std::collections::{BTreeMap, BTreeSet};

use crate::QueryError;
use crate::db::{query, query_scalar};
use crate::integer::narrow;
use crate::snapshot::Snapshot;

/// A service as shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceName {
    /// `name:port`, or the name alone for a caller.
    pub(crate) shown: String,
    pub(crate) name: String,
    pub(crate) kind: String,
}

/// The services that an answer names.
#[derive(Debug, Default)]
pub(crate) struct ServiceNames(BTreeMap<i64, ServiceName>);

impl ServiceNames {
    /// Reads the names of `ids`.
    pub(crate) fn load(snapshot: &mut Snapshot, ids: BTreeSet<i64>) -> Result<Self, QueryError> {
        let rows = query(
            "SELECT id, kind, name, port FROM service WHERE id IN (SELECT value FROM json_each(?))",
        )
        .bind(json_list(ids))
        .fetch_all(snapshot.connection())?;
        let mut names = BTreeMap::new();
        for row in rows {
            let name: String = row.try_get(2)?;
            let shown = with_port(&name, narrow(row.try_get(3)?));
            names.insert(
                row.try_get(0)?,
                ServiceName {
                    shown,
                    name,
                    kind: row.try_get(1)?,
                },
            );
        }
        Ok(Self(names))
    }

    /// Kinds and names, whatever their ports.
    pub(crate) fn programs(&self) -> BTreeSet<(String, String)> {
        let services = self.0.values();
        services
            .map(|service| (service.kind.clone(), service.name.clone()))
            .collect()
    }

    /// The name, empty when the store does not know it.
    pub(crate) fn of(&self, id: i64) -> ServiceName {
        self.0.get(&id).cloned().unwrap_or_default()
    }
}

/// The services that a caller's text means: exactly `name:port`, all of a port with `:port`, else those whose name contains it, any case.
pub(crate) fn matching(snapshot: &mut Snapshot, text: &str) -> Result<BTreeSet<i64>, QueryError> {
    if let Some(("", port)) = split_port(text) {
        let of_port: Vec<i64> = query_scalar("SELECT id FROM service WHERE port = ?")
            .bind(i64::from(port))
            .fetch_all(snapshot.connection())?;
        return Ok(of_port.into_iter().collect());
    }
    if let Some((name, port)) = split_port(text) {
        let exact: Vec<i64> = query_scalar("SELECT id FROM service WHERE name = ? AND port = ?")
            .bind(name)
            .bind(i64::from(port))
            .fetch_all(snapshot.connection())?;
        if !exact.is_empty() {
            return Ok(exact.into_iter().collect());
        }
    }
    let like: Vec<i64> =
        query_scalar("SELECT id FROM service WHERE instr(lower(name), lower(?)) > 0")
            .bind(text)
            .fetch_all(snapshot.connection())?;
    Ok(like.into_iter().collect())
}

/// The services of an optional filter.
pub(crate) fn filtered(
    snapshot: &mut Snapshot,
    text: Option<&str>,
) -> Result<Option<BTreeSet<i64>>, QueryError> {
    match text {
        Some(text) => Ok(Some(matching(snapshot, text)?)),
        None => Ok(None),
    }
}

/// Templates of `ids`.
pub(crate) fn routes(
    snapshot: &mut Snapshot,
    ids: BTreeSet<i64>,
) -> Result<BTreeMap<i64, String>, QueryError> {
    let rows = query("SELECT id, template FROM route WHERE id IN (SELECT value FROM json_each(?))")
        .bind(json_list(ids))
        .fetch_all(snapshot.connection())?;
    rows.into_iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Method and route in one text.
pub(crate) fn method_and_route(method: &str, template: Option<&str>) -> String {
    match (method, template) {
        ("", None) => "(connection)".to_owned(),
        ("", Some(template)) => template.to_owned(),
        (method, None) => method.to_owned(),
        (method, Some(template)) => format!("{method} {template}"),
    }
}

/// Name or address with a port; IPv6 addresses in brackets.
pub(crate) fn with_port(name: &str, port: u16) -> String {
    match port {
        // What a session has that no socket was seen to carry.
        0 if name == "0.0.0.0" => "unknown".to_owned(),
        0 => name.to_owned(),
        port if name.contains(':') => format!("[{name}]:{port}"),
        port => format!("{name}:{port}"),
    }
}

/// Numbers as the JSON text that `json_each` takes: one bound value for a list of any length.
pub(crate) fn json_list(numbers: impl IntoIterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers
        .into_iter()
        .map(|number| number.to_string())
        .collect();
    format!("[{}]", numbers.join(","))
}

fn split_port(text: &str) -> Option<(&str, u16)> {
    let (name, port) = text.rsplit_once(':')?;
    let name = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    Some((name, port.parse().ok()?))
}
