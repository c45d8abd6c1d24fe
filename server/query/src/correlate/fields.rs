//! Header fields of gathered exchanges.
//!
//! Owns: templates that were read, since exchanges of one session or one transaction share most of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use headwater_redact::{HeaderField, render_headers};

use crate::QueryError;
use crate::exchange::template;
use crate::snapshot::Snapshot;

use super::node::Node;

/// Templates by segment and number.
#[derive(Default)]
pub(super) struct Templates(HashMap<(i64, i64), Vec<u8>>);

impl Templates {
    /// The fields of request and response.
    pub(super) fn fields(
        &mut self,
        snapshot: &mut Snapshot,
        node: &Node,
    ) -> Result<[Vec<HeaderField>; 2], QueryError> {
        let mut fields = [Vec::new(), Vec::new()];
        for ((block, holes), into) in node.blocks.iter().zip(&mut fields) {
            let Some(block) = *block else { continue };
            let template = match self.0.entry((node.segment, block)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let template = template(snapshot, node.segment, block)?;
                    place.insert(template.unwrap_or_default())
                }
            };
            *into = render_headers(template, holes);
        }
        Ok(fields)
    }
}
