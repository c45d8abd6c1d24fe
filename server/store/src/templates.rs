//! Header blocks of the segment being written, each stored once.
//!
//! Owns: the bounded memory of them, in two generations: when the young one is full it becomes the old one, and what is
//! asked for again moves back. A template that fell out is stored a second time, which costs room and nothing else.

use rusqlite::{CachedStatement, Connection};

use crate::ledger::FastMap;

/// Templates and their ids.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    young: FastMap<Box<[u8]>, i64>,
    young_bytes: usize,
    old: FastMap<Box<[u8]>, i64>,
    next_id: i64,
}

impl Templates {
    /// Reads the newest templates of a segment, after a start or a roll-back.
    pub(crate) fn load(&mut self, connection: &Connection, segment: i64) -> rusqlite::Result<()> {
        self.young.clear();
        self.old.clear();
        (self.young_bytes, self.next_id) = (0, 1);
        let sql = format!("SELECT id, template FROM header_block_{segment} ORDER BY id DESC");
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            self.next_id = self.next_id.max(id + 1);
            if !self.know(row.get::<_, Vec<u8>>(1)?.into(), id) {
                break;
            }
        }
        Ok(())
    }

    /// The id of a template, storing it through `insert` when it is new.
    pub(crate) fn id(
        &mut self,
        insert: &mut CachedStatement<'_>,
        template: &[u8],
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.young.get(template) {
            return Ok(*id);
        }
        let id = match self.old.remove(template) {
            Some(id) => id,
            None => self.insert(insert, template)?,
        };
        if !self.know(template.into(), id) {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        Ok(id)
    }

    fn insert(
        &mut self,
        insert: &mut CachedStatement<'_>,
        template: &[u8],
    ) -> rusqlite::Result<i64> {
        let id = self.next_id;
        insert.execute((id, template))?;
        self.next_id += 1;
        Ok(id)
    }

    /// Remembers a template; false when the generation is full.
    fn know(&mut self, template: Box<[u8]>, id: i64) -> bool {
        self.young_bytes += template.len() + ENTRY_BYTES;
        self.young.insert(template, id);
        self.young_bytes < GENERATION_BYTES
    }
}

/// Of each of the two.
const GENERATION_BYTES: usize = 2 << 20;
/// What an entry takes beside the template's bytes, roughly.
const ENTRY_BYTES: usize = 64;
