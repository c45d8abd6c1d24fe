//! Rows of UDP flows.
//!
//! Owns: one row for each in the segment where it was told first, rewritten while it goes on.

use headwater_model::UdpFlow;
use headwater_redact::Text;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::dns::insert;
use crate::integer::signed;
use crate::state::State;

/// A flow that has a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownUdpFlow {
    pub(crate) segment: i64,
    id: i64,
    /// The batch in which it was last told.
    batch: u64,
}

impl State {
    /// Stores a flow, or what has become of it.
    pub(crate) fn udp_flow(
        &mut self,
        connection: &Connection,
        flow: &UdpFlow,
    ) -> rusqlite::Result<()> {
        let client = self.names.service(connection, &flow.client.service)?;
        let server = self.names.service(connection, &flow.server.service)?;
        let known = self.udp_flows.get(flow.key);
        let segment = known.map_or(self.segment.id, |known| known.segment);
        let mut row: Vec<Value> = vec![
            known.map(|known| known.id).into(),
            signed(flow.start_ns).into(),
            signed(flow.last_ns.saturating_sub(flow.start_ns)).into(),
            client.into(),
            server.into(),
        ];
        self.put_dns_end(&mut row, &flow.client);
        self.put_dns_end(&mut row, &flow.server);
        let quic = flow.quic.as_ref();
        row.extend([
            signed(flow.sent.packets).into(),
            signed(flow.sent.bytes).into(),
            signed(flow.received.packets).into(),
            signed(flow.received.bytes).into(),
            quic.map(|quic| quic.version).into(),
            quic.and_then(|quic| quic.server_name.as_ref())
                .map(Text::as_str)
                .map(str::to_owned)
                .into(),
        ]);
        let sql = insert("udp_flow", segment, row.len());
        connection
            .prepare_cached(&sql)?
            .execute(params_from_iter(row))?;
        if known.is_none() {
            self.segment.add_other(signed(flow.start_ns));
        }
        let known = KnownUdpFlow {
            segment,
            id: known.map_or_else(|| connection.last_insert_rowid(), |known| known.id),
            batch: self.batch,
        };
        self.udp_flows.set(flow.key, known);
        Ok(())
    }

    /// Forgets those not told for longest, when there are too many. Their rows stay; one that is told again has another.
    pub(crate) fn forget_udp_flows(&mut self) {
        if self.udp_flows.len() > MOST_FLOWS {
            let oldest = self.batch.saturating_sub(BATCHES);
            self.udp_flows.forget(|_, flow| flow.batch >= oldest);
        }
    }
}

const MOST_FLOWS: usize = 16_384;
/// About a minute: as long as the recorder remembers a quiet flow.
const BATCHES: u64 = 240;
