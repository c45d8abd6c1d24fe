//! Other programs on the same cgroup: those that allow company go on counting whatever the recorder does, and one that does not
//! is named.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Store, cgroup_mount, python, said, until};

/// Attaches a program of a few instructions to both directions of the root cgroup, as systemd does, and tells every tenth of a
/// second how many packets it passed. Detaches at SIGTERM, and when its parent is gone.
const COUNTER: &str = r"
import ctypes, os, platform, signal, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(1, signal.SIGTERM)
NUMBER = {'x86_64': 321, 'aarch64': 280}[platform.machine()]
def bpf(command, packed):
    attributes = ctypes.create_string_buffer(packed.ljust(128, b'\0'), 128)
    result = libc.syscall(NUMBER, command, attributes, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def instruction(code, destination=0, source=0, offset=0, value=0):
    return struct.pack('<BBhi', code, source << 4 | destination, offset, value)
counts = bpf(0, struct.pack('<5I', 2, 4, 8, 1, 0))
program = b''.join([
    instruction(0x62, 10, 0, -4, 0),                                    # key on the stack = 0
    instruction(0xbf, 2, 10), instruction(0x07, 2, 0, 0, -4),           # r2 = its address
    instruction(0x18, 1, 1, 0, counts), instruction(0),                 # r1 = the map
    instruction(0x85, 0, 0, 0, 1),                                      # bpf_map_lookup_elem
    instruction(0x15, 0, 0, 2, 0),
    instruction(0xb7, 1, 0, 0, 1), instruction(0xdb, 0, 1),             # add 1, atomically
    instruction(0xb7, 0, 0, 0, 1), instruction(0x95),                   # pass
])
text, licence = ctypes.create_string_buffer(program), ctypes.create_string_buffer(b'GPL')
cgroup = os.open(sys.argv[1], os.O_RDONLY)
flags = {'multi': 2, 'exclusive': 0}[sys.argv[2]]
attached = []
def end(*_):
    for kind, loaded in attached:
        bpf(9, struct.pack('<4I', cgroup, loaded, kind, 0))
    sys.exit(0)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, end)
try:
    for kind in (0, 1):
        loaded = bpf(5, struct.pack('<IIQQIIQII16sII', 8, len(program) // 8, ctypes.addressof(text),
            ctypes.addressof(licence), 0, 0, 0, 0, 0, b'count_packets', 0, kind))
        bpf(8, struct.pack('<4I', cgroup, loaded, kind, flags))
        attached.append((kind, loaded))
    key, value = ctypes.c_uint32(0), ctypes.c_uint64(0)
    while True:
        bpf(1, struct.pack('<IIQQQ', counts, 0, ctypes.addressof(key), ctypes.addressof(value), 0))
        print('counted', value.value, flush=True)
        time.sleep(0.1)
except OSError as error:
    print('refused:', error, flush=True)
    end()
";

/// The other program; detached on drop, which no killing would do.
struct Other(Option<Program>);

impl Other {
    fn attach(mode: &str) -> Self {
        let mut command = Command::new(python());
        command.args(["-c", COUNTER]).arg(cgroup_mount()).arg(mode);
        let other = Self(Some(Program::start(&mut command)));
        until("word of the other program", || {
            let said = other.said();
            if said.is_empty() { Err(said) } else { Ok(()) }
        });
        other
    }
    fn said(&self) -> String {
        self.0.as_ref().map(Program::said).unwrap_or_default()
    }
    fn count(&self) -> u64 {
        let said = self.said();
        let last = said
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("counted "));
        last.and_then(|count| count.parse().ok())
            .unwrap_or_else(|| panic!("no count: {said}"))
    }
    /// Traffic makes it count.
    fn counts(&self, ask: impl Fn()) {
        let before = self.count();
        ask();
        until("more packets in the other program", || {
            let now = self.count();
            if now >= before + 4 {
                Ok(())
            } else {
                Err((before, now))
            }
        });
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Some(program) = self.0.take() {
            program.end("TERM");
        }
    }
}

fn ask(nginx: &Nginx, path: &str) {
    said(Command::new("curl").args(["-s", &format!("{}{path}", nginx.url())]));
}

#[test]
fn programs_that_allow_company_go_on_whatever_the_recorder_does() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let first = Other::attach("multi");
    first.counts(|| ask(&nginx, "/without"));
    let recorder = store.record(&[]);
    first.counts(|| ask(&nginx, "/with"));
    assert_eq!(store.exchange("/with")["outcome"], "complete");
    // One that comes later is let in, too.
    let second = Other::attach("multi");
    for other in [&first, &second] {
        other.counts(|| ask(&nginx, "/with/both"));
    }
    store.exchange("/with/both");
    recorder.end("KILL");
    for other in [&first, &second] {
        other.counts(|| ask(&nginx, "/killed"));
    }
    let recorder = store.record(&[]);
    for other in [&first, &second] {
        other.counts(|| ask(&nginx, "/again"));
    }
    assert_eq!(store.exchange("/again")["outcome"], "complete");
    drop(first);
    ask(&nginx, "/one/less");
    assert_eq!(store.exchange("/one/less")["outcome"], "complete");
    assert!(recorder.end("INT").0.success());
    second.counts(|| ask(&nginx, "/stopped"));
}

#[test]
fn a_program_that_allows_no_company_is_named_as_the_reason() {
    let store = Store::new();
    let other = Other::attach("exclusive");
    assert!(!other.said().contains("refused"), "{}", other.said());
    let (status, told) = Program::start(&mut store.command(&["record"])).wait();
    assert_eq!(status.code(), Some(69), "{told}");
    for word in ["exclusively", "BPF_F_ALLOW_MULTI", "bpftool cgroup show"] {
        assert!(told.contains(word), "{told}");
    }
    drop(other);
    let recorder = store.record(&[]);
    // Now it is the other one that is refused, and the recorder does not notice.
    let other = Other::attach("exclusive");
    assert!(other.said().contains("refused"), "{}", other.said());
    assert!(recorder.end("INT").0.success());
}
