//! `identifier_matches(place, data, wanted)`: what one row of the index of identifiers gives for some hashes.
//!
//! A look-up reads rows of every segment, nearly all of which hold nothing that is wanted: those are left out where they are
//! read, which is cheaper than handing them to the caller.
//!
//! Owns: the bytes of question and answer.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::identifiers::{Entry, part_of, read_part};

/// Makes `identifier_matches` known on a connection: NULL where nothing of the row is wanted, else what `matches` reads.
///
/// # Errors
/// SQLite's, when it has no memory.
pub(crate) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("identifier_matches", 3, flags, |context| {
        let (place, data) = (context.get(0)?, context.get_raw(1).as_blob()?);
        let found = matching(place, data, context.get_raw(2).as_blob()?);
        Ok((!found.is_empty()).then_some(found))
    })
}

/// The third argument of `identifier_matches`: the first four bytes of hashes.
pub fn wanted(prefixes: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let mut prefixes: Vec<u32> = prefixes.into_iter().collect();
    prefixes.sort_unstable();
    prefixes.into_iter().flat_map(u32::to_be_bytes).collect()
}

/// The entries that `identifier_matches` gives.
pub fn matches(found: &[u8]) -> impl Iterator<Item = Entry> {
    let (entries, _) = found.as_chunks::<ENTRY>();
    entries.iter().map(|entry| {
        let [a, b, c, d, id @ ..] = *entry;
        Entry {
            prefix: u32::from_be_bytes([a, b, c, d]),
            id: i64::from_be_bytes(id),
        }
    })
}

fn matching(place: i64, data: &[u8], wanted: &[u8]) -> Vec<u8> {
    let part = part_of(place);
    let (prefixes, _) = wanted.as_chunks::<4>();
    let mut prefixes = prefixes
        .iter()
        .map(|prefix| u32::from_be_bytes(*prefix))
        .skip_while(|prefix| prefix >> 24 < part)
        .take_while(|prefix| prefix >> 24 == part)
        .peekable();
    let mut found = Vec::new();
    // A damaged row gives what can be read of it.
    let _ = read_part(part, data, |entry| {
        while prefixes.next_if(|prefix| *prefix < entry.prefix).is_some() {}
        match prefixes.peek() {
            None => return false,
            Some(prefix) if *prefix == entry.prefix => {
                found.extend(entry.prefix.to_be_bytes());
                found.extend(entry.id.to_be_bytes());
            }
            Some(_) => {}
        }
        true
    });
    found
}

/// Four bytes of the hash and eight of the id.
const ENTRY: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifiers::{place, write_part};

    #[test]
    fn a_row_gives_what_is_wanted_of_it() {
        let entry = |prefix, id| Entry { prefix, id };
        let entries = [
            entry(0x7f00_0001, -4),
            entry(0x7f00_0002, 5),
            entry(0x7f00_0002, 6),
            entry(0x7fff_ffff, i64::MAX),
        ];
        let mut data = Vec::new();
        write_part(&entries, &mut data);
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        let ask = |prefixes: &[u32]| -> Option<Vec<Entry>> {
            let arguments = (
                place(3, 0x7f0),
                data.clone(),
                wanted(prefixes.iter().copied()),
            );
            let found: Option<Vec<u8>> = connection
                .query_row("SELECT identifier_matches(?, ?, ?)", arguments, |row| {
                    row.get(0)
                })
                .unwrap();
            found.map(|found| matches(&found).collect())
        };
        assert_eq!(ask(&[]), None);
        assert_eq!(ask(&[0x7f00_0003, 0x8000_0001, 0x7e00_0001]), None);
        assert_eq!(
            ask(&[0x7fff_ffff, 0, 0x7f00_0002]),
            Some(entries[1..].to_vec())
        );
        assert_eq!(
            ask(&[0x7f00_0000, 0x7f00_0001]),
            Some(entries[..1].to_vec())
        );
    }

    #[test]
    fn damage_ends_what_is_found() {
        let mut data = Vec::new();
        let entries = [
            Entry {
                prefix: 0x0100_0000,
                id: 1,
            },
            Entry {
                prefix: 0x0100_0001,
                id: 2,
            },
        ];
        write_part(&entries, &mut data);
        data.truncate(data.len() - 1);
        let found = matching(place(1, 0x010), &data, &wanted([0x0100_0000, 0x0100_0001]));
        assert_eq!(matches(&found).collect::<Vec<_>>(), entries[..1]);
    }
}
