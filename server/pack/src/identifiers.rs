//! Which exchanges hold which identifiers: sorted runs, cut by the first bits of the hash: a run as it is written by eight,
//! one made of many by twelve, one of several segments by fifteen, so that a look-up reads some hundred bytes of either.
//!
//! Owns: the bytes of one part of a run. Four bytes of a hash are kept: the first says which part, three are in it. Another
//! hash in some millions begins alike, so what is found is looked at again in the exchange itself.
//!
//! ```text
//! part  = base *entry            ; base is an id, zigzag
//! entry = key distance           ; key is the distance from the entry before, distance that of the id from base, zigzag
//! ```
//!
//! Numbers are LEB128 varints; entries are in the order of keys.

use crate::Damaged;
use crate::packer::{write_number, zigzag};
use crate::unpacker::read_number;

/// Into how many parts a run is cut.
pub const PARTS: u32 = 256;

/// And one made of many.
pub const FINE_PARTS: u32 = 1 << FINE_BITS;
/// Bits of a hash that say in which fine part it is; four of them are not of the part.
pub const FINE_BITS: u32 = 12;

/// An identifier, and an exchange that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The first four bytes of its hash.
    pub prefix: u32,
    /// The exchange.
    pub id: i64,
}

impl Entry {
    /// The entry of a hash.
    pub fn new(hash: [u8; 8], id: i64) -> Self {
        let [one, two, three, four, ..] = hash;
        Self {
            prefix: u32::from_be_bytes([one, two, three, four]),
            id,
        }
    }

    /// The part that it is in: its first byte.
    pub fn part(self) -> u32 {
        self.prefix >> 24
    }

    /// The finer part that it is in, of a run made of many: its first twelve bits.
    pub fn fine_part(self) -> u32 {
        self.prefix >> 20
    }

    fn key(self) -> u32 {
        self.prefix & 0x00ff_ffff
    }
}

/// The key of the row of one fine part of a run: those of one run lie together, so that a run is written to the end of the
/// table. The row of a part that is not fine has that of its first fine one.
pub fn place(run: i64, fine_part: u32) -> i64 {
    run << FINE_BITS | i64::from(fine_part)
}

/// The key of the row of a hash, by its first four bytes, in a run of a group of segments, which is cut by fifteen bits: it has the keys of
/// `GROUP_RUNS` runs, and its number is a multiple of that.
pub fn group_place(run: i64, prefix: u32) -> i64 {
    (run << FINE_BITS) + i64::from(prefix >> (32 - FINE_BITS - GROUP_BITS))
}

/// What row keys of a group's run are shifted by to be those of the fine part that they are of.
pub const GROUP_BITS: u32 = 3;
/// Numbers of runs that one of a group takes.
pub const GROUP_RUNS: i64 = 1 << GROUP_BITS;

/// The part of a row's key.
pub fn part_of(place: i64) -> u32 {
    u32::try_from(place >> 4 & 0xff).unwrap_or(0)
}

/// Writes entries of one part, which are sorted.
pub fn write_part(entries: &[Entry], out: &mut Vec<u8>) {
    let base = entries.first().map_or(0, |first| first.id);
    write_number(zigzag(base), out);
    let mut before = 0;
    for entry in entries {
        let key = entry.key();
        write_number(u64::from(key.wrapping_sub(before)), out);
        write_number(zigzag(entry.id.wrapping_sub(base)), out);
        before = key;
    }
}

/// Reads the entries of a part, in their order, until `found` says that it has seen enough (false).
///
/// # Errors
/// When the bytes are no part of a run.
pub fn read_part(
    part: u32,
    data: &[u8],
    mut found: impl FnMut(Entry) -> bool,
) -> Result<(), Damaged> {
    let mut at = 0;
    let base = unzigzag(read_number(data, &mut at)?);
    let mut key = 0_u32;
    while at < data.len() {
        let damaged = Damaged { at };
        let distance = u32::try_from(read_number(data, &mut at)?).map_err(|_| damaged)?;
        let next = key.checked_add(distance);
        key = next.filter(|key| *key < 1 << 24).ok_or(damaged)?;
        let id = base.wrapping_add(unzigzag(read_number(data, &mut at)?));
        let goes_on = found(Entry {
            prefix: part << 24 | key,
            id,
        });
        if !goes_on {
            break;
        }
    }
    Ok(())
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let entry = |prefix, id| Entry { prefix, id };
        for entries in [
            vec![],
            vec![entry(0x7f00_0000, 5)],
            vec![
                entry(0x7f00_0001, i64::MAX),
                entry(0x7f00_0001, i64::MIN),
                entry(0x7f00_0002, 1),
                entry(0x7fff_ffff, 2),
                entry(0x7fff_ffff, 2),
            ],
        ] {
            let mut data = Vec::new();
            write_part(&entries, &mut data);
            let mut read = Vec::new();
            let all = read_part(0x7f, &data, |entry| {
                read.push(entry);
                true
            });
            all.unwrap();
            assert_eq!(read, entries);
            let mut first = None;
            let one = read_part(0x7f, &data, |entry| {
                assert_eq!(first.replace(entry), None);
                false
            });
            assert_eq!((one, first.as_ref()), (Ok(()), entries.first()));
            for cut in 0..data.len() {
                // Whatever it gives, it ends.
                let _ = read_part(0x7f, data.get(..cut).unwrap(), |_| true);
            }
        }
        assert!(read_part(0, &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0], |_| true).is_err());
        let entry = Entry::new([1, 2, 3, 4, 5, 6, 7, 8], 9);
        assert_eq!((entry.part(), entry.fine_part()), (1, 0x10));
        assert_eq!(part_of(place(77, entry.fine_part())), 1);
        assert_eq!(part_of(place(77, FINE_PARTS - 1)), 0xff);
        let last = Entry::new([0xff; 8], 9);
        for (entry, part) in [(entry, 1), (last, 0xff)] {
            let place = group_place(72, entry.prefix);
            assert_eq!(part_of(place >> GROUP_BITS), part);
            assert!((72 << FINE_BITS..80 << FINE_BITS).contains(&place));
        }
    }
}
