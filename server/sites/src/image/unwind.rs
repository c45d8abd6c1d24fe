//! Where functions begin and end, from the tables by which stacks are unwound: stripped programs have these too.

use std::io::{Read, Seek};

use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};

use super::Image;
use crate::Error;

/// The largest tables that are read; programs of a hundred megabytes have some ten.
const LARGEST: u64 = 1 << 26;

/// A function, or a part of one that a compiler put elsewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Extent {
    pub(crate) address: u64,
    pub(crate) size: u64,
}

impl Extent {
    pub(crate) fn contains(self, address: u64) -> bool {
        address
            .checked_sub(self.address)
            .is_some_and(|into| into < self.size)
    }
}

/// All functions of a file, by where they begin.
#[derive(Default)]
pub(crate) struct Extents(Vec<Extent>);

impl Extents {
    /// The functions that the tables of `image` tell; none where there are no tables, or they do not hold together.
    pub(crate) fn read<R: Read + Seek>(image: &mut Image<R>) -> Result<Self, Error> {
        let Some((offset, size, address)) = image
            .section(".eh_frame")
            .filter(|section| section.size <= LARGEST)
            .map(|section| (section.offset, section.size, section.address))
        else {
            return Ok(Self::default());
        };
        let length = usize::try_from(size).unwrap_or(0);
        let bytes = image.at(offset, length)?.unwrap_or_default();
        Ok(of_table(&bytes, address).unwrap_or_default())
    }

    /// The function that the instruction at `address` is in.
    pub(crate) fn around(&self, address: u64) -> Option<Extent> {
        let behind = self.0.partition_point(|extent| extent.address <= address);
        let last = self.0.get(behind.checked_sub(1)?)?;
        last.contains(address).then_some(*last)
    }
}

fn of_table(bytes: &[u8], address: u64) -> gimli::Result<Extents> {
    let frames = EhFrame::new(bytes, LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(address);
    let mut entries = frames.entries(&bases);
    let mut extents = Vec::new();
    while let Some(entry) = entries.next()? {
        if let CieOrFde::Fde(entry) = entry {
            let entry = entry.parse(EhFrame::cie_from_offset)?;
            extents.push(Extent {
                address: entry.initial_address(),
                size: entry.len(),
            });
        }
    }
    extents.sort_by_key(|extent| extent.address);
    Ok(Extents(extents))
}
