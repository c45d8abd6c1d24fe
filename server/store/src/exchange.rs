//! Rows of exchanges.
//!
//! Owns: one row for each exchange, given when it ends or, before, as open and then again. An exchange that ended well
//! before it was ever stored is packed with its like (`headwater_pack`); failures and those stored as open have rows.
//! An open one beyond the cap of
//! those remembered is not stored until it ends, so there are never two rows.

use headwater_model::{Exchange, Grpc, Http2, Message, Outcome, Request, Response, Side};
use headwater_redact::{HeaderBlock, Target, Text};

use crate::codes::{self, evidence_bits, target_form};
use crate::connection::KnownConnection;
use crate::identifiers::When;
use crate::integer::signed;
use crate::process::ProcessFailure;
use crate::reason::registered;
use crate::rollup::{Key, slot_of};
use crate::state::State;
use crate::statements::{Binder, Held, Row, Statements, insert_header_block, update_exchange};
use crate::{packs, streams};

/// An exchange that was stored before its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenExchange {
    pub(crate) id: i64,
    /// Where it is counted, and in which segment it is.
    pub(crate) key: Key,
    /// Its response has begun, as far as stored.
    has_response: bool,
    /// As stored: it stays, whatever is done to the clock, for blocks of ids know it.
    start_ns: u64,
}

/// What of a row is not in the exchange itself.
struct Place {
    id: i64,
    connection: KnownConnection,
    route: Option<i64>,
    kind: u16,
    /// As stored. What lies between two times of the exchange is reckoned from its own start.
    start_ns: u64,
    /// Ids of the header blocks of request and response,
    blocks: (Option<i64>, Option<i64>),
    /// and of their trailers.
    trailers: (Option<i64>, Option<i64>),
}

impl Place {
    fn open(&self, key: Key, exchange: &Exchange) -> OpenExchange {
        OpenExchange {
            id: self.id,
            key,
            has_response: exchange.response.is_some(),
            start_ns: self.start_ns,
        }
    }
}

impl State {
    /// Stores an exchange, or what has become of it.
    pub(crate) fn exchange(
        &mut self,
        statements: &mut Statements<'_>,
        exchange: &Exchange,
    ) -> rusqlite::Result<()> {
        let Some(connection) = self.connections.get(exchange.connection) else {
            self.orphans = (self.orphans.0 + 1, exchange.start_ns());
            return Ok(());
        };
        let is_open = exchange.outcome == Outcome::Open;
        let before = if self.open.len() == 0 {
            None
        } else {
            self.open.get(exchange.key)
        };
        if is_open && before.is_none() && self.open.len() >= MOST_OPEN {
            return Ok(());
        }
        if !connection.has_exchanges {
            let mut connection = connection;
            connection.has_exchanges = true;
            self.connections.set(exchange.connection, connection);
        }
        let segment = before.map_or(self.segment.id, |open| open.key.segment);
        let place = self.place(statements, exchange, connection, before, segment)?;
        let key = self.key(exchange, &place, segment);
        // One that is still open is worth a second look when its response has begun.
        let has_news = before
            .is_none_or(|before| !is_open || exchange.response.is_some() && !before.has_response);
        if has_news {
            self.identifiers.add(place.id, before.is_none(), exchange);
            let (connection, segment) = (statements.connection, self.segment.id);
            self.identifiers.write(connection, segment, When::Full)?;
        }
        match before {
            None => {
                if place.kind == codes::NO_FAILURE {
                    write(&mut self.pack, exchange, &place)?;
                    packs::end_row(&mut self.pack, &mut statements.insert_pack)?;
                } else {
                    let mut row = Binder::new(&mut statements.insert_exchange);
                    write(&mut row, exchange, &place)?;
                    row.run()?;
                }
                self.ids.exchange += 1;
                self.segment.add(place.id, signed(place.start_ns));
            }
            Some(open) => {
                let sql = update_exchange(segment);
                let mut update = Held::new(statements.connection.prepare_cached(&sql)?);
                let mut row = Binder::new(&mut update);
                write(&mut row, exchange, &place)?;
                row.run()?;
                self.rollups.subtract(open.key);
            }
        }
        self.rollups.add(
            key,
            signed(place.start_ns),
            Some(place.id),
            latency(exchange),
        );
        if is_open {
            self.open.set(exchange.key, place.open(key, exchange));
        } else if before.is_some() {
            self.open.remove(exchange.key);
        }
        Ok(())
    }

    fn place(
        &mut self,
        statements: &mut Statements<'_>,
        exchange: &Exchange,
        connection: KnownConnection,
        before: Option<OpenExchange>,
        segment: i64,
    ) -> rusqlite::Result<Place> {
        let status = exchange
            .response
            .as_ref()
            .and_then(|response| response.status_code);
        let is_good = status.is_some_and(|status| (200..400).contains(&status));
        let route = match exchange
            .request
            .as_ref()
            .map(|request| request.target.route())
        {
            None | Some("") => None,
            Some(route) => Some(self.names.route(
                statements.connection,
                connection.server_service,
                route,
                is_good,
            )?),
        };
        let request = exchange.request.as_ref().map(|request| &request.message);
        let response = exchange.response.as_ref().map(|response| &response.message);
        let blocks = (
            self.block(statements, headers_of(request), segment)?,
            self.block(statements, headers_of(response), segment)?,
        );
        let trailers = (
            self.block(statements, trailers_of(request), segment)?,
            self.block(statements, trailers_of(response), segment)?,
        );
        Ok(Place {
            id: before.map_or(self.ids.exchange, |open| open.id),
            connection,
            route,
            kind: self.kind(exchange, connection),
            start_ns: before.map_or(exchange.start_ns(), |open| open.start_ns),
            blocks,
            trailers,
        })
    }

    /// The kind of failure. That the process at fault was killed or failed says more than how its connection ended.
    fn kind(&self, exchange: &Exchange, connection: KnownConnection) -> u16 {
        let kind = codes::kind(exchange);
        let (process, killed, failed) = match kind {
            codes::RESET | codes::CLOSED => (
                connection.server_process,
                codes::SERVER_KILLED,
                codes::SERVER_FAILED,
            ),
            codes::GAVE_UP => (
                connection.client_process,
                codes::CLIENT_KILLED,
                codes::CLIENT_FAILED,
            ),
            _ => return kind,
        };
        match self.process_failure(process, exchange.start_ns()) {
            Some(ProcessFailure::Killed) => killed,
            Some(ProcessFailure::Failed) => failed,
            None => kind,
        }
    }

    /// The id of a header block in a segment.
    fn block(
        &mut self,
        statements: &mut Statements<'_>,
        block: Option<&HeaderBlock>,
        segment: i64,
    ) -> rusqlite::Result<Option<i64>> {
        let Some(block) = block else {
            return Ok(None);
        };
        let template = block.template();
        if segment == self.segment.id {
            let insert = &mut statements.insert_header_block;
            return self.templates.id(insert, template).map(Some);
        }
        // An exchange of a closed segment ends: rare enough to store the block without looking for an equal one.
        let sql = insert_header_block(segment);
        let mut insert = statements.connection.prepare_cached(&sql)?;
        insert.execute((None::<i64>, template))?;
        Ok(Some(statements.connection.last_insert_rowid()))
    }

    fn key(&mut self, exchange: &Exchange, place: &Place, segment: i64) -> Key {
        let method = exchange
            .request
            .as_ref()
            .map_or("", |request| request.method.as_str());
        Key {
            segment,
            slot_ns: slot_of(place.start_ns),
            server: place.connection.server_service,
            client: place.connection.client_service,
            route: place.route.unwrap_or(0),
            method: self.names.method(method),
            kind: place.kind,
        }
    }
}

fn write(row: &mut impl Row, exchange: &Exchange, place: &Place) -> rusqlite::Result<()> {
    let request = exchange.request.as_ref();
    let response = exchange.response.as_ref();
    let (sent, answered) = (
        request.map(|request| &request.message),
        response.map(|response| &response.message),
    );
    let start_ns = exchange.start_ns();
    let after = |at_ns: Option<u64>| at_ns.map(|at_ns| signed(at_ns.saturating_sub(start_ns)));
    row.put(place.id)?;
    row.put(place.connection.id)?;
    row.put(exchange.ordinal)?;
    row.put(signed(place.start_ns))?;
    row.put(after(sent.and_then(|message| message.last_byte_ns)))?;
    row.put(after(answered.map(|message| message.first_byte_ns)))?;
    row.put(after(answered.and_then(|message| message.last_byte_ns)))?;
    row.put(after(Some(exchange.end_ns)))?;
    row.put(place.connection.client_service)?;
    row.put(place.connection.server_service)?;
    row.put(place.route)?;
    put_target(row, request)?;
    row.put(response.and_then(|response| response.status_code))?;
    // HTTP/2 has neither reasons nor minor versions.
    let is_http1 = exchange.http2.is_none();
    row.put(response.filter(|_| is_http1).and_then(unregistered_reason))?;
    row.put(
        sent.filter(|_| is_http1)
            .map(|message| message.minor_version),
    )?;
    row.put(
        answered
            .filter(|_| is_http1)
            .map(|message| message.minor_version),
    )?;
    row.put((!exchange.interim.is_empty()).then(|| interim(exchange)))?;
    row.put(codes::outcome(exchange.outcome))?;
    let is_failure = place.kind != codes::NO_FAILURE && place.kind != codes::OPEN;
    row.put(is_failure.then_some(place.kind))?;
    row.put(exchange.gaps.0)?;
    row.put(place.blocks.0)?;
    row.put(holes(headers_of(sent)))?;
    row.put(place.blocks.1)?;
    row.put(holes(headers_of(answered)))?;
    for message in [sent, answered] {
        row.put(message.map(|message| signed(message.header_bytes)))?;
        row.put(message.map(|message| signed(message.body_bytes)))?;
    }
    row.put(sent.and_then(|message| message.thread_id))?;
    row.put(answered.and_then(|message| message.thread_id))?;
    row.put(thread_evidence(sent, answered))?;
    put_http2(row, exchange.http2.as_deref())?;
    put_grpc(row, exchange.grpc.as_deref())?;
    if place.trailers == (None, None) {
        row.nulls(4)?;
    } else {
        row.put(place.trailers.0)?;
        row.put(holes(trailers_of(sent)))?;
        row.put(place.trailers.1)?;
        row.put(holes(trailers_of(answered)))?;
    }
    if exchange.websocket.is_none() && exchange.event_stream.is_none() {
        return row.nulls(2);
    }
    let websocket = exchange.websocket.as_deref();
    row.put(websocket.map(|websocket| streams::websocket(websocket, start_ns)))?;
    let events = exchange.event_stream.as_deref();
    row.put(events.map(|events| streams::event_stream(events, start_ns)))
}

fn headers_of(message: Option<&Message>) -> Option<&HeaderBlock> {
    message.map(|message| &message.headers)
}

fn trailers_of(message: Option<&Message>) -> Option<&HeaderBlock> {
    message?.trailers.as_ref()
}

fn holes(block: Option<&HeaderBlock>) -> Option<&[u8]> {
    block
        .map(HeaderBlock::holes)
        .filter(|holes| !holes.is_empty())
}

/// The reason phrase, unless it is the one that is registered for its status, or there is none.
fn unregistered_reason(response: &Response) -> Option<&str> {
    let reason = response.reason.as_str();
    let expected = response.status_code.and_then(registered);
    (expected != Some(reason)).then_some(reason)
}

fn put_http2(row: &mut impl Row, http2: Option<&Http2>) -> rusqlite::Result<()> {
    let Some(http2) = http2 else {
        return row.nulls(5);
    };
    row.put(http2.stream_id)?;
    row.put(Some(flags(http2)).filter(|flags| *flags != 0))?;
    row.put(http2.error.map(|error| error.code))?;
    let stalled = Some(http2).filter(|http2| http2.stalls > 0);
    row.put(stalled.map(|http2| http2.stalls))?;
    row.put(stalled.map(|http2| signed(http2.stalled_ns)))
}

fn flags(http2: &Http2) -> i64 {
    let error = http2.error.map_or(0, |error| {
        2 * i64::from(error.by == Side::Server) + 4 * i64::from(error.by_goaway)
    });
    i64::from(http2.is_pushed) + error
}

fn put_grpc(row: &mut impl Row, grpc: Option<&Grpc>) -> rusqlite::Result<()> {
    let Some(grpc) = grpc else {
        return row.nulls(6);
    };
    row.put(grpc.status_code)?;
    row.put(grpc.message.as_ref().map(Text::as_str))?;
    row.put(grpc.timeout_ns.map(signed))?;
    let (request, response) = (grpc.request_messages, grpc.response_messages);
    row.put(signed(request.count))?;
    row.put(signed(response.count))?;
    row.put(i64::from(request.is_exact) + 2 * i64::from(response.is_exact))
}

fn put_target(row: &mut impl Row, request: Option<&Request>) -> rusqlite::Result<()> {
    let target = request.map(|request| &request.target);
    row.put(request.map(|request| request.method.as_str()))?;
    row.put(target.map_or(0, |target| target_form(target.form())))?;
    row.put(target.and_then(Target::scheme))?;
    row.put(target.and_then(Target::authority))?;
    row.put(target.map(Target::path))?;
    row.put(target.and_then(Target::query))
}

/// `None` where neither thread is known.
fn thread_evidence(sent: Option<&Message>, answered: Option<&Message>) -> Option<i64> {
    let bits = |message: Option<&Message>| {
        message.map_or(0, |message| evidence_bits(message.thread_evidence))
    };
    let both = bits(sent) + 4 * bits(answered);
    (both != 0).then_some(both)
}

fn interim(exchange: &Exchange) -> String {
    let codes: Vec<String> = exchange.interim.iter().map(ToString::to_string).collect();
    codes.join(",")
}

/// From the first byte of the request to the last of the response, or to when the outcome was decided.
fn latency(exchange: &Exchange) -> Option<u64> {
    if matches!(exchange.outcome, Outcome::Open | Outcome::RequestNotSeen) {
        return None;
    }
    let response = exchange.response.as_ref();
    let end_ns = response.and_then(|response| response.message.last_byte_ns);
    let end_ns = end_ns.unwrap_or(exchange.end_ns);
    Some(end_ns.saturating_sub(exchange.start_ns()))
}

const MOST_OPEN: usize = 16_384;
