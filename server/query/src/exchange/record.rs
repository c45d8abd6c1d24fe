//! One row of `exchange_rows(N)`, and the detail made of it.

use headwater_redact::{HeaderField, render_headers};

use super::{
    ExchangeDetail, HeaderLine, MessageDetail, ResolutionDetail, end, explained, protocol,
};
use crate::QueryError;
use crate::answer::Window;
use crate::db::{Row, query, query_scalar};
use crate::id::{ConnectionId, DnsId, ExchangeId};
use crate::integer::{narrow, unsigned};
use crate::outcome;
use crate::snapshot::Snapshot;

/// One exchange as stored.
pub(super) struct Record {
    segment: i64,
    row: Row,
    pub(super) timing: Timing,
}

/// The times of an exchange; all but `start_ns` are after the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timing {
    pub(super) start_ns: u64,
    pub(super) request_end: Option<u64>,
    pub(super) response_start: Option<u64>,
    pub(super) response_end: Option<u64>,
    pub(super) end: u64,
}

impl Record {
    /// Reads the row.
    pub(super) fn load(
        snapshot: &mut Snapshot,
        segment: i64,
        id: i64,
    ) -> Result<Option<Self>, QueryError> {
        let sql = format!("SELECT {COLUMNS} FROM exchange_rows({segment}) e WHERE e.id = ?");
        let row = query(sql).bind(id).fetch_optional(snapshot.connection())?;
        let Some(row) = row else { return Ok(None) };
        let delta = |column| {
            row.try_get::<Option<i64>>(column)
                .map(|delta| delta.map(unsigned))
        };
        let timing = Timing {
            start_ns: unsigned(row.try_get("start_ns")?),
            request_end: delta("request_end_delta_ns")?,
            response_start: delta("response_start_delta_ns")?,
            response_end: delta("response_end_delta_ns")?,
            end: unsigned(row.try_get("end_delta_ns")?),
        };
        Ok(Some(Self {
            segment,
            row,
            timing,
        }))
    }

    /// Its number.
    pub(super) fn id(&self) -> Result<i64, QueryError> {
        Ok(self.row.try_get("id")?)
    }

    /// From its first to its last moment.
    pub(super) fn window(&self) -> Window {
        let start_ns = self.timing.start_ns;
        Window {
            since_ns: start_ns,
            until_ns: start_ns.saturating_add(self.timing.end),
        }
    }

    /// Names of what could not be seen.
    pub(super) fn gaps(&self) -> Result<Vec<&'static str>, QueryError> {
        Ok(outcome::gaps(self.row.try_get("gaps")?))
    }

    /// The header fields of the request (`true`) or response.
    pub(super) fn headers(
        &self,
        snapshot: &mut Snapshot,
        request: bool,
    ) -> Result<Vec<HeaderField>, QueryError> {
        let columns = if request {
            ("request_header_block_id", "request_header_holes")
        } else {
            ("response_header_block_id", "response_header_holes")
        };
        self.block(snapshot, columns)
    }

    /// The trailer fields of the request (`true`) or response.
    fn trailers(
        &self,
        snapshot: &mut Snapshot,
        request: bool,
    ) -> Result<Vec<HeaderField>, QueryError> {
        let columns = if request {
            ("request_trailer_block_id", "request_trailer_holes")
        } else {
            ("response_trailer_block_id", "response_trailer_holes")
        };
        self.block(snapshot, columns)
    }

    fn block(
        &self,
        snapshot: &mut Snapshot,
        (block, holes): (&str, &str),
    ) -> Result<Vec<HeaderField>, QueryError> {
        let Some(block): Option<i64> = self.row.try_get(block)? else {
            return Ok(Vec::new());
        };
        let holes: Option<Vec<u8>> = self.row.try_get(holes)?;
        Ok(template(snapshot, self.segment, block)?
            .map(|template| render_headers(&template, &holes.unwrap_or_default()))
            .unwrap_or_default())
    }

    /// Everything about it.
    pub(super) fn detail(&self, snapshot: &mut Snapshot) -> Result<ExchangeDetail, QueryError> {
        let (row, timing, tag) = (&self.row, self.timing, snapshot.tag());
        let connection: i64 = row.try_get("connection_id")?;
        let services = (
            row.try_get("client_service_id")?,
            row.try_get("server_service_id")?,
        );
        let ends = end::load(snapshot, connection, services)?;
        let route: Option<String> = query_scalar("SELECT template FROM route WHERE id = ?")
            .bind(row.try_get::<Option<i64>>("route_id")?)
            .fetch_optional(snapshot.connection())?;
        let outcome: i64 = row.try_get("outcome")?;
        let after = |from: Option<u64>, to: Option<u64>| to?.checked_sub(from?);
        let websocket = protocol::websocket(row)?;
        Ok(ExchangeDetail {
            id: ExchangeId(unsigned(row.try_get("id")?)).printed(&tag),
            connection_id: ConnectionId(unsigned(connection)).printed(&tag),
            ordinal: narrow(row.try_get("ordinal")?),
            method: row.try_get("http_request_method")?,
            target_form: target_form(row.try_get("target_form")?),
            target: self.target()?,
            route,
            status_code: row
                .try_get::<Option<i64>>("http_response_status_code")?
                .map(narrow),
            reason: row.try_get("http_response_reason")?,
            interim: interim(row.try_get("interim")?),
            outcome: outcome::name(outcome),
            outcome_explained: explained::outcome(
                outcome,
                timing,
                &ends.close_reason,
                websocket.as_ref(),
            ),
            start_ns: timing.start_ns,
            end_ns: timing.start_ns.saturating_add(timing.end),
            request_sent_ns: timing.request_end.filter(|_| outcome != REQUEST_NOT_SEEN),
            wait_ns: after(timing.request_end, timing.response_start),
            response_ns: after(timing.response_start, timing.response_end),
            request: self.request(snapshot)?,
            response: self.response(snapshot)?,
            client: ends.client,
            server: ends.server,
            connection_close_reason: ends.close_reason,
            joined_midstream: ends.joined_midstream,
            gaps: self.gaps()?,
            resolution: resolution(snapshot, connection)?,
            http2: protocol::http2(row)?,
            grpc: protocol::grpc(row)?,
            websocket,
            event_stream: protocol::event_stream(row)?,
        })
    }

    /// The target put together again from its parts (RFC 9112, section 3.2).
    fn target(&self) -> Result<Option<String>, QueryError> {
        let path: Option<String> = self.row.try_get("url_path")?;
        let query: Option<&str> = self.row.try_get("url_query")?;
        let scheme: Option<&str> = self.row.try_get("url_scheme")?;
        let authority: Option<&str> = self.row.try_get("url_authority")?;
        let form: i64 = self.row.try_get("target_form")?;
        if form == AUTHORITY_FORM {
            return Ok(authority.map(str::to_owned));
        }
        let Some(mut target) = path else {
            return Ok(None);
        };
        if let (Some(scheme), Some(authority)) = (scheme, authority) {
            target = format!("{scheme}://{authority}{target}");
        }
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        Ok(Some(target))
    }

    fn request(&self, snapshot: &mut Snapshot) -> Result<Option<MessageDetail>, QueryError> {
        if self
            .row
            .try_get::<Option<&str>>("http_request_method")?
            .is_none()
        {
            return Ok(None);
        }
        let evidence: Option<i64> = self.row.try_get("thread_evidence")?;
        Ok(Some(MessageDetail {
            version: self.version("request_minor_version")?,
            headers: lines(self.headers(snapshot, true)?),
            trailers: lines(self.trailers(snapshot, true)?),
            header_bytes: self.size("http_request_header_size")?,
            body_bytes: self.size("http_request_body_size")?,
            first_byte_ns: self.timing.start_ns,
            last_byte_ns: self.timing.at(self.timing.request_end),
            thread_id: self
                .row
                .try_get::<Option<i64>>("request_thread_id")?
                .map(narrow),
            thread_evidence: outcome::evidence(evidence.unwrap_or(0)),
        }))
    }

    fn response(&self, snapshot: &mut Snapshot) -> Result<Option<MessageDetail>, QueryError> {
        if self.timing.response_start.is_none() {
            return Ok(None);
        }
        let evidence: Option<i64> = self.row.try_get("thread_evidence")?;
        Ok(Some(MessageDetail {
            version: self.version("response_minor_version")?,
            headers: lines(self.headers(snapshot, false)?),
            trailers: lines(self.trailers(snapshot, false)?),
            header_bytes: self.size("http_response_header_size")?,
            body_bytes: self.size("http_response_body_size")?,
            first_byte_ns: self
                .timing
                .at(self.timing.response_start)
                .unwrap_or(self.timing.start_ns),
            last_byte_ns: self.timing.at(self.timing.response_end),
            thread_id: self
                .row
                .try_get::<Option<i64>>("response_thread_id")?
                .map(narrow),
            thread_evidence: outcome::evidence(evidence.unwrap_or(0) >> 2),
        }))
    }

    fn version(&self, column: &str) -> Result<String, QueryError> {
        let minor: Option<i64> = self.row.try_get(column)?;
        let stream: Option<i64> = self.row.try_get("http2_stream_id")?;
        Ok(match stream {
            Some(_) => "HTTP/2".to_owned(),
            None if minor == Some(9) => "HTTP/0.9".to_owned(),
            None => format!("HTTP/1.{}", minor.unwrap_or(1)),
        })
    }

    fn size(&self, column: &str) -> Result<u64, QueryError> {
        Ok(self.row.try_get::<Option<i64>>(column)?.map_or(0, unsigned))
    }
}

impl Timing {
    fn at(&self, delta: Option<u64>) -> Option<u64> {
        delta.map(|delta| self.start_ns.saturating_add(delta))
    }
}

/// The template of a header block, if it is there.
pub(crate) fn template(
    snapshot: &mut Snapshot,
    segment: i64,
    block: i64,
) -> Result<Option<Vec<u8>>, QueryError> {
    let sql = format!("SELECT template FROM header_block_{segment} WHERE id = ?");
    let template = query_scalar(sql)
        .bind(block)
        .fetch_optional(snapshot.connection())?;
    Ok(template)
}

/// The name that the connection's server was found by.
pub(crate) fn resolution(
    snapshot: &mut Snapshot,
    connection: i64,
) -> Result<Option<ResolutionDetail>, QueryError> {
    let sql = "SELECT name, before_ns, dns_exchange_id, asked_by FROM connection_resolution WHERE connection_id = ?";
    let row = query(sql)
        .bind(connection)
        .fetch_optional(snapshot.connection())?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(ResolutionDetail {
        name: row.try_get(0)?,
        before_ns: unsigned(row.try_get(1)?),
        exchange_id: DnsId(unsigned(row.try_get(2)?)).printed(&snapshot.tag()),
        asked_by: row.try_get(3)?,
    }))
}

fn lines(fields: Vec<HeaderField>) -> Vec<HeaderLine> {
    let line = |field: HeaderField| HeaderLine {
        name: field.name,
        value: field.value.text,
        redacted: field.value.redacted,
    };
    fields.into_iter().map(line).collect()
}

fn target_form(number: i64) -> &'static str {
    match number {
        1 => "absolute",
        AUTHORITY_FORM => "authority",
        3 => "asterisk",
        _ => "origin",
    }
}

fn interim(codes: Option<&str>) -> Vec<u16> {
    codes
        .into_iter()
        .flat_map(|codes| codes.split(','))
        .filter_map(|code| code.trim().parse().ok())
        .collect()
}

const COLUMNS: &str = "e.id, e.connection_id, e.ordinal, e.start_ns, e.request_end_delta_ns, e.response_start_delta_ns, \
    e.response_end_delta_ns, e.end_delta_ns, e.client_service_id, e.server_service_id, e.route_id, \
    e.http_request_method, e.target_form, e.url_scheme, e.url_authority, e.url_path, e.url_query, \
    e.http_response_status_code, e.http_response_reason, e.request_minor_version, e.response_minor_version, e.interim, \
    e.outcome, e.gaps, e.request_header_block_id, e.request_header_holes, e.response_header_block_id, \
    e.response_header_holes, e.http_request_header_size, e.http_request_body_size, e.http_response_header_size, \
    e.http_response_body_size, e.request_thread_id, e.response_thread_id, e.thread_evidence, e.http2_stream_id, e.http2_flags, \
    e.http2_error_code, e.http2_stalls, e.http2_stalled_ns, e.rpc_grpc_status_code, e.rpc_grpc_message, e.rpc_grpc_timeout_ns, \
    e.rpc_request_messages, e.rpc_response_messages, e.rpc_messages_exact, e.request_trailer_block_id, e.request_trailer_holes, \
    e.response_trailer_block_id, e.response_trailer_holes, e.websocket, e.event_stream";
const AUTHORITY_FORM: i64 = 2;
const REQUEST_NOT_SEEN: i64 = 8;
