//! Files that are cut short, or not what they say.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect must end"
)]

use std::cell::Cell;
use std::fs;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use headwater_sites::fuzzing::{check, file_of, run};
use headwater_sites::{Error, Looked, look};

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/libssl.so.3";

/// The same numbers in every run.
fn random() -> impl FnMut() -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/sites");
    let inputs: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(inputs.len() > 4, "a corpus in {}", folder.display());
    for input in inputs {
        // Seen only when the body panics.
        println!("{}", input.display());
        run(&fs::read(&input).unwrap());
    }
}

/// So that a fuzzer begins where there is something to break.
#[test]
fn the_corpus_has_what_is_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/sites");
    for name in ["c_functions", "go", "rust"] {
        let file = file_of(&fs::read(folder.join(name)).unwrap());
        let looked = look(Cursor::new(file), "program").unwrap();
        assert!(!looked.found.is_empty(), "{name}: {looked:?}");
    }
}

/// A program that has this crate in itself has its constants, and nothing of what they name.
#[test]
fn this_program_is_not_taken_for_what_it_looks_for() {
    let program = std::env::current_exe().unwrap();
    let looked = look(fs::File::open(&program).unwrap(), "damaged").unwrap();
    assert_eq!(looked, Looked::default(), "{}", program.display());
}

#[test]
fn random_bytes() {
    let mut random = random();
    for _ in 0..3_000 {
        let length = random() % 400;
        let data: Vec<u8> = (0..length)
            .map(|_| {
                let byte = random().to_le_bytes()[2];
                // Mostly what functions are made of.
                match byte % 4 {
                    0 => byte,
                    1 => 0x50 | byte >> 5,
                    2 => 0x48 | byte >> 6,
                    _ => [0x74, 0xe8, 0xeb, 0xc3, 0x89, 0x8b, 0x85, 0xff][usize::from(byte >> 5)],
                }
            })
            .collect();
        run(&data);
    }
}

#[test]
fn cut_short_anywhere() {
    let bytes = fs::read(LIBRARY).unwrap();
    for length in (0..0x400).chain((0x400..bytes.len()).step_by(4096 + 511)) {
        check(&bytes[..length]);
    }
}

#[test]
fn headers_that_lie() {
    let whole = fs::read(LIBRARY).unwrap();
    let headers =
        usize::try_from(u64::from_le_bytes(whole[0x28..0x30].try_into().unwrap())).unwrap();
    let mut random = random();
    for _ in 0..1_500 {
        let mut bytes = whole.clone();
        for _ in 0..=random() % 4 {
            let (where_to, value) = (random(), random());
            // The file's header and its segments, or a section's header.
            let place = if where_to % 2 == 0 {
                usize::try_from(where_to / 2 % 0x2c0).unwrap()
            } else {
                headers + usize::try_from(where_to / 2).unwrap() % (whole.len() - headers)
            };
            let value = value.to_le_bytes();
            let size = 1 << (where_to >> 60 & 3);
            let end = (place + size).min(bytes.len());
            let value = if value[7] & 1 == 0 { value } else { [0xff; 8] };
            bytes[place..end].copy_from_slice(&value[..end - place]);
        }
        check(&bytes);
    }
}

/// A file that says that it is large, and counts what is read of it.
struct Endless<'a> {
    start: &'a [u8],
    place: u64,
    read: &'a Cell<u64>,
    largest: &'a Cell<usize>,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.largest.set(self.largest.get().max(buffer.len()));
        let rest = usize::try_from(self.place)
            .ok()
            .and_then(|place| self.start.get(place..))
            .unwrap_or_default();
        let real = rest.len().min(buffer.len());
        buffer[..real].copy_from_slice(&rest[..real]);
        buffer[real..].fill(0);
        let count = u64::try_from(buffer.len()).unwrap();
        self.place += count;
        self.read.set(self.read.get() + count);
        Ok(buffer.len())
    }
}

impl Seek for Endless<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.place = match to {
            SeekFrom::Start(place) => place,
            _ => 1 << 50,
        };
        Ok(self.place)
    }
}

#[test]
fn sizes_without_end_are_not_believed() {
    let whole = fs::read(LIBRARY).unwrap();
    let headers =
        usize::try_from(u64::from_le_bytes(whole[0x28..0x30].try_into().unwrap())).unwrap();
    let count = usize::from(u16::from_le_bytes(whole[0x3c..0x3e].try_into().unwrap()));
    for section in 0..count {
        let mut bytes = whole.clone();
        let size = headers + section * 64 + 0x20;
        bytes[size..size + 8].copy_from_slice(&(1_u64 << 49).to_le_bytes());
        let (read, largest) = (Cell::new(0), Cell::new(0));
        let file = Endless {
            start: &bytes,
            place: 0,
            read: &read,
            largest: &largest,
        };
        let _ = look(file, "libssl.so.3");
        assert!(
            read.get() < 2 << 30,
            "section {section}: {} bytes read",
            read.get()
        );
        assert!(
            largest.get() <= 4 << 20,
            "section {section}: {} bytes at once",
            largest.get()
        );
    }
}

#[test]
fn what_is_wrong_is_said() {
    let whole = fs::read(LIBRARY).unwrap();
    let said = |bytes: &[u8]| match look(Cursor::new(bytes), "libssl.so.3") {
        Err(Error::Damaged(why)) => why,
        other => panic!("{other:?}"),
    };
    let mut bytes = whole.clone();
    bytes[0x28..0x30].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    assert_eq!(said(&bytes), "the section headers are not in the file");
    let mut bytes = whole.clone();
    bytes[0x20..0x28].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    assert_eq!(said(&bytes), "the program headers are not in the file");
}
