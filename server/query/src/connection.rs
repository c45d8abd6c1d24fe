//! `get_connection`: one connection as a story, with the header elements of both directions.
//!
//! Owns: the look-up by id, with its three ways to fail, and the row. Numbers are read in `tcp`, shown in `elements`, put in
//! the order of time in `story`, and what the end means is in `explained`.

mod drops;
mod elements;
mod exchanges;
mod explained;
mod http2;
mod icmp;
mod proxied;
mod story;
mod tcp;
mod tls;

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::db::{Row, query, query_scalar};
use crate::exchange::{EndDetail, ProcessBegin, Replaced, ResolutionDetail, ends, resolution};
use crate::id::ConnectionId;
use crate::integer::{signed, unsigned};
use crate::recorder::Runs;
use crate::segments;
use crate::snapshot::Snapshot;
use crate::tls::Tls;
use crate::window::rfc3339;
use crate::{Answer, QueryError, recorder};

use http2::Http2Numbers;
use icmp::IcmpNumbers;
use tcp::TcpNumbers;

/// A header element of both directions: what each end sent, in words made by Headwater; `None` where it is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: &'static str,
    /// Of what the client sent.
    pub client: Option<String>,
    /// Of what the server sent.
    pub server: Option<String>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryLine {
    /// After the connection's start; negative before it; `None` when it is known that it happened, not when.
    pub after_ns: Option<i64>,
    /// client, server, or nobody.
    pub by: &'static str,
    /// What, in words made by Headwater.
    pub what: String,
    /// Printable id of the exchange that it is about.
    pub id: Option<String>,
    /// What was captured of it: a name, a method and path. Untrusted.
    pub captured: Option<String>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionDetail {
    /// Printable id.
    pub id: String,
    /// Its SYN or, unseen, the first packet of it that was seen.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: Option<u64>,
    /// `connection.close_reason`.
    pub close_reason: String,
    /// What that means here, in words made by Headwater.
    pub close_explained: String,
    /// Whether the SYN was not seen.
    pub joined_midstream: bool,
    /// `network.protocol.name`, once recognised.
    pub protocol: Option<String>,
    /// From the first SYN to the SYN-ACK; of a client elsewhere that is the server's own time alone.
    pub handshake_ns: Option<u64>,
    /// Where that was seen: client, server.
    pub handshake_seen_at: Option<&'static str>,
    /// The calling end.
    pub client: EndDetail,
    /// The answering end.
    pub server: EndDetail,
    /// The name that the server's address was learned by.
    pub resolution: Option<ResolutionDetail>,
    /// How many exchanges it carried.
    pub exchange_count: u64,
    /// What happened, in order of time.
    pub story: Vec<StoryLine>,
    /// The header elements of both directions.
    pub elements: Vec<Element>,
    /// What is not known, and why, in words made by Headwater.
    pub unknown: Vec<String>,
}

/// The row as it is looked at by the parts of the answer. Ends are the client's, then the server's.
struct View {
    ends: [TcpNumbers; 2],
    http2: Option<Http2Numbers>,
    drops: Vec<drops::Dropped>,
    icmp: Option<IcmpNumbers>,
    bytes: [u64; 2],
    local: [bool; 2],
    tls: Option<Tls>,
    proxied: Option<proxied::Proxied>,
    /// When the processes at the ends ended, and how.
    exits: [Option<(i64, String)>; 2],
    /// How they had begun.
    begins: [ProcessBegin; 2],
    /// In whose place the server's process came.
    replaces: Option<Replaced>,
    start_ns: u64,
    end: Option<u64>,
    close_reason: String,
    joined_midstream: bool,
    is_open: bool,
    is_live: bool,
}

impl View {
    fn of(row: &Row, is_live: bool) -> Result<Self, QueryError> {
        let number = |column: &str| row.try_get::<i64>(column).map(unsigned);
        let start_ns = number("start_ns")?;
        let end: Option<i64> = row.try_get("end_ns")?;
        let end = end.map(|end_ns| unsigned(end_ns).saturating_sub(start_ns));
        let close_reason: String = row.try_get("close_reason")?;
        Ok(Self {
            ends: [
                TcpNumbers::read(row.try_get("client_tcp")?),
                TcpNumbers::read(row.try_get("server_tcp")?),
            ],
            drops: drops::read(row.try_get("packet_drops")?),
            http2: Http2Numbers::read(row.try_get("http2")?),
            icmp: IcmpNumbers::read(row.try_get("icmp")?),
            bytes: [number("client_bytes")?, number("server_bytes")?],
            local: [row.try_get("client_local")?, row.try_get("server_local")?],
            tls: None,
            proxied: None,
            exits: [None, None],
            begins: [ProcessBegin::default(); 2],
            replaces: None,
            start_ns,
            end,
            is_open: close_reason == "open",
            close_reason,
            joined_midstream: row.try_get("joined_midstream")?,
            is_live,
        })
    }

    /// One end, and the other.
    fn seen_from(&self, end: usize) -> [&TcpNumbers; 2] {
        let [client, server] = &self.ends;
        if end == 0 {
            [client, server]
        } else {
            [server, client]
        }
    }

    /// Whether the SYN was never answered by a SYN-ACK.
    fn is_attempt(&self) -> bool {
        let [client, server] = &self.ends;
        client.handshake.is_some()
            && server.handshake.is_none()
            && client.first_payload.is_none()
            && server.first_payload.is_none()
    }

    /// SYNs sent: what the probes saw, or the kernel's own count.
    fn syns(&self) -> u64 {
        let [client, _] = &self.ends;
        let seen = client.syn_retries.unwrap_or(0);
        let counted = client.socket.and_then(|socket| socket.unanswered);
        1 + seen.max(counted.filter(|_| self.is_attempt()).unwrap_or(0))
    }
}

/// The least round trip that is known of a connection, from what is stored of its ends: what the client's socket measured,
/// else the time from its SYN to the SYN-ACK, where both were seen at one end.
pub(crate) fn round_trip_ns(client: Option<&str>, server: Option<&str>) -> Option<u64> {
    let client = TcpNumbers::read(client);
    let measured = client.socket.and_then(|socket| socket.rtt_min_us);
    measured
        .filter(|us| *us > 0)
        .map(|us| us.saturating_mul(1_000))
        .or_else(|| {
            let server = TcpNumbers::read(server);
            server.handshake?.at.checked_sub(client.handshake?.at)
        })
}

/// Answers the look-up. `most` bounds the exchanges that are told one by one.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    id: &str,
    most: usize,
) -> Result<Answer<ConnectionDetail>, QueryError> {
    let runs = Runs::load(snapshot)?;
    let segments = segments::all(snapshot)?;
    let (number, row) = find(snapshot, id)?;
    let is_live: Option<String> = query_scalar("SELECT source FROM recorder_run WHERE id = ?")
        .bind(row.try_get::<i64>("run_id")?)
        .fetch_optional(snapshot.connection())?;
    let mut view = View::of(&row, is_live.as_deref() != Some("replay"))?;
    view.tls = Tls::load(snapshot, number, view.start_ns)?;
    view.proxied = proxied::Proxied::load(snapshot, number)?;
    let services = (
        row.try_get("client_service_id")?,
        row.try_get("server_service_id")?,
    );
    let ends = ends(snapshot, number, services)?;
    for (exit, end) in view.exits.iter_mut().zip([&ends.client, &ends.server]) {
        *exit = end
            .process_end_ns
            .zip(end.process_exit.map(|exit| exit.to_string()));
    }
    view.begins = [ends.client.process_begin, ends.server.process_begin];
    view.replaces = ends.server.replaces;
    let resolution = resolution(snapshot, number)?;
    let window = Window {
        since_ns: view.start_ns,
        until_ns: view
            .end
            .map_or(snapshot.now_ns, |end| view.start_ns.saturating_add(end)),
    };
    let protocol: Option<String> = row.try_get("network_protocol_name")?;
    let is_dns = protocol.as_deref() == Some("dns");
    let exchanges = exchanges::of(snapshot, &segments, number, window, (most, is_dns))?;
    let [client, server] = &view.ends;
    let (asked, answered) = (client.handshake, server.handshake);
    let value = ConnectionDetail {
        id: ConnectionId(unsigned(number)).printed(&snapshot.tag()),
        start_ns: view.start_ns,
        end_ns: view.end.map(|end| view.start_ns.saturating_add(end)),
        close_reason: view.close_reason.clone(),
        close_explained: explained::close(&view),
        joined_midstream: view.joined_midstream,
        protocol,
        handshake_ns: asked
            .zip(answered)
            .map(|(asked, answered)| answered.at.saturating_sub(asked.at)),
        handshake_seen_at: asked
            .and(answered)
            .and(client.ip)
            .map(|ip| if ip.is_received { "server" } else { "client" }),
        exchange_count: exchanges.count,
        story: story::story(&view, resolution.as_ref(), &exchanges),
        elements: elements::elements(&view),
        unknown: elements::unknown(&view),
        client: ends.client,
        server: ends.server,
        resolution,
    };
    let framed = Framed {
        about: About::Everything,
        value,
        empty: false,
        window,
        next_cursor: None,
        remarks: Vec::new(),
    };
    let answer = framed.finish(snapshot, &runs, &segments)?;
    Ok(Answer {
        window: None,
        ..answer
    })
}

/// The connection with a printed id.
///
/// # Errors
/// `Argument`, `Foreign`, `Expired` and `Unknown`, which are four different things to a caller.
fn find(snapshot: &mut Snapshot, text: &str) -> Result<(i64, Row), QueryError> {
    let tag = snapshot.tag();
    let id = ConnectionId::parse("id", &tag, text)?;
    let row = query("SELECT * FROM connection WHERE id = ?")
        .bind(signed(id.0))
        .fetch_optional(snapshot.connection())?;
    if let Some(row) = row {
        return Ok((signed(id.0), row));
    }
    let next: Option<String> =
        query_scalar("SELECT value FROM meta WHERE key = 'next_connection_id'")
            .fetch_optional(snapshot.connection())?;
    let next: u64 = next.and_then(|next| next.parse().ok()).unwrap_or(0);
    let printed = id.printed(&tag);
    if id.0 == 0 || id.0 >= next {
        return Err(QueryError::Unknown { id: printed });
    }
    let oldest = recorder::oldest_ns(snapshot)?.map_or_else(|| "now on".to_owned(), rfc3339);
    Err(QueryError::Expired {
        id: printed,
        oldest,
    })
}
