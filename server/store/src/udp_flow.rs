//! Rows of UDP flows.
//!
//! Owns: one row for each in the segment where it was told first, rewritten while it goes on.

use headwater_model::UdpFlow;
use headwater_redact::Text;
use rusqlite::Connection;

use crate::dns::put_udp_end;
use crate::icmp::kinds as icmp_kinds;
use crate::integer::signed;
use crate::state::State;
use crate::statements::{Binder, Held, Row, replace_udp_flow};

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
        let client = self.udp_end(connection, &flow.client)?;
        let server = self.udp_end(connection, &flow.server)?;
        let known = self.udp_flows.get(flow.key);
        let segment = known.map_or(self.segment.id, |known| known.segment);
        let sql = replace_udp_flow(segment);
        let mut replace = Held::new(connection.prepare_cached(&sql)?);
        let mut row = Binder::new(&mut replace);
        row.put(known.map(|known| known.id))?;
        row.put(signed(flow.start_ns))?;
        row.put(signed(flow.last_ns.saturating_sub(flow.start_ns)))?;
        row.put(client.service)?;
        row.put(server.service)?;
        let [client_spelled, server_spelled, _] = &mut self.spelled;
        put_udp_end(&mut row, &flow.client, client, client_spelled)?;
        put_udp_end(&mut row, &flow.server, server, server_spelled)?;
        for count in [flow.sent, flow.received] {
            row.put(signed(count.packets))?;
            row.put(signed(count.bytes))?;
        }
        let quic = flow.quic.as_ref();
        row.put(quic.map(|quic| quic.version))?;
        row.put(
            quic.and_then(|quic| quic.server_name.as_ref())
                .map(Text::as_str),
        )?;
        let errors = flow.icmp.as_deref();
        row.put(errors.map(|errors| icmp_kinds(errors, flow.start_ns)))?;
        row.run()?;
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
