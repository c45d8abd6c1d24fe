//! Files that are cut short, or not what they say.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect must end"
)]

use std::cell::Cell;
use std::fs;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use headwater_sites::fuzzing::{RUST_NAMES, check, file, file_of, run, symbols};
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
    for name in ["c_functions", "go", "rust", "unnamed", "boringssl"] {
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

/// Anything of a file without names is another: its code, its constants, the tables by which its functions are found.
#[test]
fn what_errors_tell_is_damaged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/sites");
    let mut random = random();
    for name in ["unnamed", "boringssl"] {
        let whole = file_of(&fs::read(folder.join(name)).unwrap());
        for _ in 0..3_000 {
            let mut bytes = whole.clone();
            for _ in 0..=random() % 8 {
                let place = usize::try_from(random()).unwrap() % bytes.len();
                bytes[place] = random().to_le_bytes()[3];
            }
            check(&bytes);
        }
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

/// A file that says how large it is, beyond what is given zeros, and counts what is read of it.
struct Counted<'a> {
    start: &'a [u8],
    length: u64,
    place: u64,
    read: &'a Cell<u64>,
    largest: &'a Cell<usize>,
}

impl Read for Counted<'_> {
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

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.place = match to {
            SeekFrom::Start(place) => place,
            _ => self.length,
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
        let file = Counted {
            start: &bytes,
            length: 1 << 50,
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

/// How much is read to look into a file.
fn read_of(bytes: &[u8]) -> u64 {
    let (read, largest) = (Cell::new(0), Cell::new(0));
    let file = Counted {
        start: bytes,
        length: u64::try_from(bytes.len()).unwrap(),
        place: 0,
        read: &read,
        largest: &largest,
    };
    look(file, "program").unwrap();
    read.get()
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

/// Functions that call through ten thousand words are looked at with one pass through the relocations.
#[test]
fn many_words_are_looked_up_together() {
    let each = 60_000;
    let functions: Vec<_> = (0..)
        .zip(RUST_NAMES)
        .map(|(index, name)| (*name, index * each, each))
        .collect();
    // call *offset(%rip), each another word
    let code: Vec<u8> = (0..RUST_NAMES.len() * each / 6)
        .flat_map(|index| {
            let offset = u32::try_from(index).unwrap() * 2;
            [[0xff, 0x15].as_slice(), &offset.to_le_bytes()].concat()
        })
        .collect();
    let [first, second] = symbols(&functions, 2);
    let relocations = (".rela.plt", 4, vec![0; 24 << 18], 2);
    let bytes = file(&code, &[first, second, relocations], &[]);
    assert!(
        read_of(&bytes) < length(&bytes) * 3,
        "{} bytes read",
        read_of(&bytes)
    );
}

/// Functions that are all of the code, from another byte on each.
#[test]
fn functions_that_overlap_are_not_all_looked_at() {
    // mov %rdi, offset(%rsp), each to another place
    let code: Vec<u8> = (0..16_000_u32)
        .flat_map(|index| {
            [
                [0x48, 0x89, 0xbc, 0x24].as_slice(),
                &(index * 8).to_le_bytes(),
            ]
            .concat()
        })
        .collect();
    for (name, kind, most) in [(RUST_NAMES[0], 2, 4 << 20), ("SSL_read", 11, 1 << 20)] {
        let functions: Vec<_> = (0..4000).map(|place| (name, place * 8, 0xfff8)).collect();
        let bytes = file(&code, &symbols(&functions, kind), &[]);
        let read = read_of(&bytes);
        assert!(
            read < length(&bytes) * 6 + most,
            "{name}: {read} bytes read"
        );
    }
}

/// A thousand places that seem to put an error of BoringSSL.
#[test]
fn places_without_a_function_are_not_all_looked_at() {
    let code: Vec<u8> = (0..1024)
        .flat_map(|index| {
            // lea offset(%rip), %rcx: the path is behind the first zero of a section that is not said to be loaded.
            let offset: i32 = 1 - (0x1000 + index * 16 + 7);
            let mut block = vec![0x48, 0x8d, 0x0d];
            block.extend(offset.to_le_bytes());
            block.resize(16, 0x90);
            block
        })
        .collect();
    // Not in one piece, or this program would seem to have BoringSSL.
    let path = [
        b"\0../../third_party/boringssl/src/ssl/".as_slice(),
        b"ssl_lib",
        b".cc\0",
    ]
    .concat();
    let bytes = file(&code, &[(".rodata", 1, path, 0)], &[]);
    let read = read_of(&bytes);
    let library = look(Cursor::new(&bytes), "program").unwrap().unsupported;
    assert_eq!(library[0].library, "BoringSSL");
    assert!(
        read > length(&bytes) + (1 << 19),
        "no places: {read} bytes read"
    );
    assert!(read < length(&bytes) * 8 + (1 << 20), "{read} bytes read");
}

/// Descriptions of Go's functions that are far from each other.
#[test]
fn descriptions_without_order_are_not_all_looked_at() {
    let count = 50_000_u32;
    let names = b"\0crypto/tls.(*Conn).Read\0";
    let mut table = vec![0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
    let at_entries = 72 + length(names);
    for word in [
        u64::from(count),
        0,
        0x1000,
        72,
        at_entries,
        0,
        0,
        at_entries,
    ] {
        table.extend(word.to_le_bytes());
    }
    table.extend(names);
    for index in 0..count {
        table.extend(0_u32.to_le_bytes());
        table.extend(((index % 2) * (4 << 20)).to_le_bytes());
    }
    table.resize(9 << 20, 0);
    let info = b"\xff Go buildinf:\x08\x02".to_vec();
    let bytes = file(
        &[0x90; 64],
        &[(".gopclntab", 1, table, 0), (".go.buildinfo", 1, info, 0)],
        &[],
    );
    let read = read_of(&bytes);
    let looked = look(Cursor::new(&bytes), "program").unwrap();
    let told: Vec<_> = looked.unsupported.iter().map(|one| one.library).collect();
    assert_eq!(told, ["Go crypto/tls"]);
    assert!(read < 600 << 20, "{read} bytes read");
}

/// What is looked for among the constants is looked for at once, and found wherever pieces of them end.
#[test]
fn constants_are_gone_through_once() {
    let source = [b"\0x/ssl/".as_slice(), b"ssl_lib", b".c\0"].concat();
    let version = [b"x/rustls".as_slice(), b"-0.23.46/src/conn.rs"].concat();
    let piece = 1 << 18;
    for place in (piece - 300)..(piece + 30) {
        let mut constants = vec![b'x'; 1 << 20];
        constants[place..place + source.len()].copy_from_slice(&source);
        let place = place + 40;
        constants[place..place + version.len()].copy_from_slice(&version);
        let bytes = file(&[0x90; 16], &[(".rodata", 1, constants, 0)], &[]);
        let looked = look(Cursor::new(&bytes), "program").unwrap();
        let libraries: Vec<_> = looked.unsupported.iter().map(|one| one.library).collect();
        assert_eq!(libraries, ["OpenSSL", "rustls"], "{place}");
        // All of the file counts as code here, which is gone through for who takes the path.
        assert!(read_of(&bytes) < length(&bytes) * 9 / 4);
    }
}
