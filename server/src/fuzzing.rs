//! What must be true of the whole pipeline, from the bytes of packets to the rows of a store, whatever the bytes are: the
//! body of the target `pipeline` under `fuzz/`, and of the test that replays its corpus.
//!
//! Owns: packets made of plain bytes by a script, and what is asserted of the events that come of them. Each step of a
//! script is a byte; those that carry bytes have their length behind it:
//!
//! ```text
//!   7   6   5   4   3   2   1   0
//! +-----------+-------+---+-------+
//! | variation | which |side|what  |    what: 0 and 1 payload, 2 a flag or time, 3 a packet as it is
//! +-----------+-------+---+-------+
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use headwater_assembly::{Assembly, Input, Limits, NoIdentities};
use headwater_model::{Event, Outcome};
use headwater_redact::{Key, Policy, Redactor};
use headwater_store::{Options, Source, StopReason, Writer};
use pcap_parser::Linktype;

use crate::replay::{Frame, Tracker, take_apart};

/// Runs the pipeline on `data`.
///
/// # Panics
/// Where it breaks its word.
pub fn run(data: &[u8]) {
    let mut pipeline = Pipeline::new();
    let mut rest = data;
    while let Some((code, behind)) = rest.split_first() {
        rest = pipeline.step(*code, behind);
    }
    pipeline.end();
}

struct Pipeline {
    assembly: Assembly<NoIdentities>,
    tracker: Tracker,
    senders: [[u32; 2]; 4],
    now_ns: u64,
    events: Vec<Event>,
}

impl Pipeline {
    fn new() -> Self {
        let limits = Limits {
            live: false,
            linger_ns: 1_000_000_000,
            conversations: 3,
            head_bytes: 512,
            ..Limits::default()
        };
        let redactor = Redactor::new(&Key::from_bytes([7; 32]), &Policy::default());
        Self {
            assembly: Assembly::new(limits, redactor, NoIdentities),
            tracker: Tracker::default(),
            senders: [[1_000, 2_000]; 4],
            now_ns: 1_700_000_000_000_000_000,
            events: Vec::new(),
        }
    }

    /// Does one step, and gives what is behind it.
    fn step<'a>(&mut self, code: u8, rest: &'a [u8]) -> &'a [u8] {
        self.now_ns += 1_000_000;
        let (side, which) = (usize::from(code >> 2 & 1), usize::from(code >> 3 & 3));
        let variation = code >> 5;
        if code & 3 == 2 {
            self.flag(which, side, variation);
            return rest;
        }
        let (length, rest) = rest.split_first().map_or((0, rest), |(n, rest)| (*n, rest));
        if code & 3 == 3 {
            let (bytes, rest) = rest.split_at(rest.len().min(usize::from(length)));
            self.packet(bytes, u32::from(length));
            return rest;
        }
        let (payload, rest) = if variation == WORD {
            (WORDS.get(usize::from(length) % WORDS.len()).copied(), rest)
        } else {
            let (bytes, rest) = rest.split_at(rest.len().min(usize::from(length)));
            (Some(bytes), rest)
        };
        let payload = payload.unwrap_or_default();
        let sent = u32::try_from(payload.len()).unwrap_or(0);
        let Some(seq) = self.sender(which, side).copied() else {
            return rest;
        };
        match variation {
            LOST => {}
            AGAIN => self.segment(which, side, seq.wrapping_sub(sent), ACK, payload, 0),
            CUT => self.segment(which, side, seq, ACK, payload, 100),
            _ => self.segment(which, side, seq, ACK, payload, 0),
        }
        let passed = match variation {
            AGAIN => 0,
            CUT => sent + 100,
            _ => sent,
        };
        if let Some(next) = self.sender(which, side) {
            *next = seq.wrapping_add(passed);
        }
        rest
    }

    fn flag(&mut self, which: usize, side: usize, variation: u8) {
        let flags = match variation {
            0 => SYN,
            1 => SYN | ACK,
            2 => FIN | ACK,
            3 => RST,
            4 => ACK,
            _ => {
                self.now_ns += if variation == 5 {
                    600_000_000
                } else {
                    6_000_000_000
                };
                self.assembly.tick(self.now_ns, |_| None);
                return self.collect();
            }
        };
        let Some(seq) = self.sender(which, side).copied() else {
            return;
        };
        self.segment(which, side, seq, flags, b"", 0);
        if flags & (SYN | FIN) != 0
            && let Some(next) = self.sender(which, side)
        {
            *next = seq.wrapping_add(1);
        }
    }

    fn sender(&mut self, which: usize, side: usize) -> Option<&mut u32> {
        self.senders.get_mut(which)?.get_mut(side)
    }

    /// A packet of IPv4 and TCP, of whose payload `cut` bytes more were on the wire than are here.
    fn segment(
        &mut self,
        which: usize,
        side: usize,
        seq: u32,
        flags: u8,
        payload: &[u8],
        cut: u16,
    ) {
        let ack = self.sender(which, 1 - side).map_or(0, |ack| *ack);
        let client = 5_000 + u16::try_from(which).unwrap_or(0);
        let total = 40 + cut + u16::try_from(payload.len()).unwrap_or(0);
        let mut bytes = vec![0x45, 0];
        bytes.extend(total.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 1]);
        let ports = if side == 0 {
            [client, 80]
        } else {
            [80, client]
        };
        bytes.extend(ports.into_iter().flat_map(u16::to_be_bytes));
        bytes.extend([seq, ack].into_iter().flat_map(u32::to_be_bytes));
        bytes.extend([0x50, flags, 255, 255, 0, 0, 0, 0]);
        bytes.extend(payload);
        self.packet(&bytes, u32::from(total));
    }

    fn packet(&mut self, bytes: &[u8], length: u32) {
        match take_apart(Linktype(101), self.now_ns, bytes, length) {
            Frame::Segment(segment) => {
                self.tracker.take(self.now_ns, &segment, &mut self.assembly);
            }
            Frame::Icmp(message) => self.assembly.take(&Input::Icmp(message)),
            _ => {}
        }
        self.collect();
    }

    fn collect(&mut self) {
        self.events.extend(self.assembly.events());
    }

    /// Ends everything, asserts what is true of the events, and stores them.
    fn end(mut self) {
        self.assembly.finish_all(self.now_ns);
        self.collect();
        let mut connections = BTreeSet::new();
        let mut ended = BTreeMap::new();
        for event in &self.events {
            match event {
                Event::Connection(connection) => {
                    connections.insert(connection.key);
                }
                Event::Exchange(exchange) => {
                    assert!(
                        connections.contains(&exchange.connection),
                        "an exchange before its connection"
                    );
                    let before = ended.insert(exchange.key, exchange.outcome != Outcome::Open);
                    assert_ne!(before, Some(true), "an exchange after its end");
                    assert!(
                        exchange.request.is_some() || exchange.response.is_some(),
                        "an exchange of nothing"
                    );
                }
                Event::Coverage(_)
                | Event::Dns(_)
                | Event::Process(_)
                | Event::KernelDrops(_)
                | Event::ProcessEnd(_)
                | Event::UdpFlow(_) => {}
            }
        }
        assert!(
            ended.into_values().all(|ended| ended),
            "an exchange without end"
        );
        STORE.with_borrow_mut(|store| store.take(&self.events, self.now_ns));
    }
}

/// One store for many runs, since making one takes far longer than filling it.
#[derive(Default)]
struct Store {
    writer: Option<Writer>,
    folder: PathBuf,
    runs: u32,
}

impl Drop for Store {
    /// At the end of its thread: a run leaves nothing behind.
    fn drop(&mut self) {
        drop(self.writer.take());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

impl Store {
    fn take(&mut self, events: &[Event], now_ns: u64) {
        let writer = self.writer.get_or_insert_with(|| {
            let name = format!(
                "headwater-fuzzing-{}-{:?}",
                std::process::id(),
                std::thread::current().id()
            );
            self.folder = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&self.folder);
            let mut options = Options::new(self.folder.join("headwater.db"), [0; 8]);
            options.source = Source::Replay;
            match Writer::open(options, now_ns) {
                Ok(writer) => writer,
                Err(error) => panic!("no store: {error}"),
            }
        });
        for event in events {
            if let Err(error) = writer.apply(event) {
                panic!("{event:?} is not stored: {error}");
            }
        }
        if let Err(error) = writer.commit(now_ns) {
            panic!("no commit: {error}");
        }
        self.runs += 1;
        if self.runs.is_multiple_of(RUNS)
            && let Some(writer) = self.writer.take()
            && let Err(error) = writer.close(now_ns, StopReason::EndOfInput)
        {
            panic!("not closed: {error}");
        }
    }
}

/// So many runs fill one store.
const RUNS: u32 = 2_000;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Variations of a payload: it is not in the capture, it comes again, it is cut, it is one of the words.
const LOST: u8 = 4;
const AGAIN: u8 = 5;
const CUT: u8 = 6;
const WORD: u8 = 7;

/// What a fuzzer would need long to find.
const WORDS: [&[u8]; 12] = [
    b"GET /a?token=secret HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer abc\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"\x81\x85\x01\x02\x03\x04iginn\x88\x82\0\0\0\0\x03\xe8",
    b"\x81\x05hello\x88\x02\x03\xf3",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64",
    b"\0\0\x04\x01\x05\0\0\0\x01\x82\x86\x84\x87",
];
