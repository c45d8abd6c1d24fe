//! Conditions on headers: blocks are rendered, because what varies of them is not in their template.
//!
//! Owns: the templates seen so far, and which of them lack the name that is looked for, so that after the first few rows
//! SQLite passes over messages that cannot match.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use headwater_redact::render_headers;

use crate::db::{Row, query};
use crate::names::json_list;
use crate::snapshot::Snapshot;
use crate::{QueryError, SearchQuery};

/// What a header must look like, and what is known of the templates.
pub(crate) struct HeaderFilter {
    name: Option<String>,
    /// Any of these must be contained; empty when any value will do.
    forms: Vec<String>,
    templates: HashMap<(i64, i64), Arc<[u8]>>,
    /// By segment: templates without the name.
    lacking: HashMap<i64, BTreeSet<i64>>,
}

/// One message's block.
struct Block {
    template: i64,
    holes: Vec<u8>,
}

impl HeaderFilter {
    /// `None` when the query asks nothing of headers. `forms` are the ways a value may stand in the store.
    pub(crate) fn new(query: &SearchQuery, forms: Vec<String>) -> Option<Self> {
        let name = query.header_name.clone();
        (name.is_some() || query.header_value.is_some()).then(|| Self {
            name,
            forms,
            templates: HashMap::new(),
            lacking: HashMap::new(),
        })
    }

    /// The templates of a segment that are known to lack the name, as a JSON list to bind.
    pub(crate) fn lacking(&self, segment: i64) -> String {
        json_list(self.lacking.get(&segment).into_iter().flatten().copied())
    }

    /// Whether a row matches that has the two blocks in columns 2 to 5.
    pub(crate) fn matches(
        &mut self,
        snapshot: &mut Snapshot,
        segment: i64,
        rows: Vec<Row>,
    ) -> Result<Vec<Row>, QueryError> {
        self.load(snapshot, segment, &rows)?;
        let mut matching = Vec::new();
        for row in rows {
            let request = block(&row, 2)?;
            let response = block(&row, 4)?;
            // Both are looked at, so that both templates are learned.
            let in_request = request.is_some_and(|block| self.block_matches(segment, &block));
            let in_response = response.is_some_and(|block| self.block_matches(segment, &block));
            if in_request || in_response {
                matching.push(row);
            }
        }
        Ok(matching)
    }

    fn block_matches(&mut self, segment: i64, block: &Block) -> bool {
        let Some(template) = self.templates.get(&(segment, block.template)) else {
            return false;
        };
        let (mut named, mut matched) = (false, false);
        for field in render_headers(template, &block.holes) {
            let name_fits = self
                .name
                .as_ref()
                .is_none_or(|name| field.name.eq_ignore_ascii_case(name));
            named |= name_fits;
            matched |= name_fits
                && (self.forms.is_empty()
                    || self
                        .forms
                        .iter()
                        .any(|form| field.value.text.contains(form.as_str())));
        }
        if !named {
            self.lacking
                .entry(segment)
                .or_default()
                .insert(block.template);
        }
        matched
    }

    fn load(
        &mut self,
        snapshot: &mut Snapshot,
        segment: i64,
        rows: &[Row],
    ) -> Result<(), QueryError> {
        let mut missing = BTreeSet::new();
        for row in rows {
            for column in [2, 4] {
                let id: Option<i64> = row.try_get(column)?;
                missing.extend(id.filter(|id| !self.templates.contains_key(&(segment, *id))));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        if self.templates.len() > TEMPLATES {
            self.templates.clear();
            return self.load(snapshot, segment, rows);
        }
        let sql = format!(
            "SELECT id, template FROM header_block_{segment} WHERE id IN (SELECT value FROM json_each(?))"
        );
        let found = query(sql)
            .bind(json_list(missing))
            .fetch_all(snapshot.connection())?;
        for row in found {
            let template: Vec<u8> = row.try_get(1)?;
            self.templates
                .insert((segment, row.try_get(0)?), template.into());
        }
        Ok(())
    }
}

fn block(row: &Row, column: usize) -> Result<Option<Block>, QueryError> {
    let template: Option<i64> = row.try_get(column)?;
    let holes: Option<Vec<u8>> = row.try_get(column + 1)?;
    Ok(template.map(|template| Block {
        template,
        holes: holes.unwrap_or_default(),
    }))
}

/// At most so many templates are kept in memory.
const TEMPLATES: usize = 20_000;
