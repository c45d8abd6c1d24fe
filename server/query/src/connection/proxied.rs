//! What a client said by the PROXY protocol before anything else.

use std::net::{IpAddr, SocketAddr};

use super::{QueryError, Snapshot, StoryLine, query, unsigned};

/// A row of `connection_proxied`.
pub(super) struct Proxied {
    version: i64,
    /// After the connection's start.
    said: u64,
    source: Option<SocketAddr>,
    destination: Option<SocketAddr>,
}

impl Proxied {
    pub(super) fn load(
        snapshot: &mut Snapshot,
        connection: i64,
    ) -> Result<Option<Self>, QueryError> {
        let row = query("SELECT * FROM connection_proxied WHERE connection_id = ?")
            .bind(connection)
            .fetch_optional(snapshot.connection())?;
        let Some(row) = row else {
            return Ok(None);
        };
        let address = |address: &str, port: &str| -> Result<Option<SocketAddr>, QueryError> {
            let address: Option<String> = row.try_get(address)?;
            let port: Option<i64> = row.try_get(port)?;
            let address = address.and_then(|address| address.parse::<IpAddr>().ok());
            let port = port.and_then(|port| u16::try_from(port).ok());
            Ok(address.zip(port).map(SocketAddr::from))
        };
        Ok(Some(Self {
            version: row.try_get("proxy_version")?,
            said: unsigned(row.try_get("said_ns")?),
            source: address("source_address", "source_port")?,
            destination: address("destination_address", "destination_port")?,
        }))
    }

    pub(super) fn story(&self) -> StoryLine {
        let whom = match (self.source, self.destination) {
            (Some(source), Some(destination)) => {
                format!("says that it stands for {source}, which connected to {destination}")
            }
            _ => "names nobody that it stands for".to_owned(),
        };
        StoryLine {
            after_ns: i64::try_from(self.said).ok(),
            by: "client",
            what: format!("PROXY protocol, version {}: {whom}", self.version),
            id: None,
            captured: None,
        }
    }
}
