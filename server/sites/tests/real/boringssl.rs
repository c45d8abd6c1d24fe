//! BoringSSL in programs without names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_sites::Library;

use crate::tools::{folder, found, packaged, run, sorted, touches, why};

const SITES: [&str; 5] = [
    "LeaveReturn push",
    "LeaveReturn push",
    "Made push",
    "ReadEnter push",
    "WriteEnter push",
];

#[test]
fn in_chromium() {
    let path = Path::new("/usr/lib/chromium/chromium");
    let found = found(path, Library::BoringSsl);
    assert_eq!(sorted(path, &found), SITES);
}

/// Another compiler made it, to whose functions the tables lead by which stacks are unwound.
#[test]
fn in_grpc_for_python() {
    let path = packaged("grpc/_cython", "cygrpc", ".so");
    let found = found(&path, Library::BoringSsl);
    assert_eq!(sorted(&path, &found), SITES);
    // `SSL_do_handshake`, and what it is a part of: `SSL_connect` and `SSL_accept`.
    assert_eq!(touches(&found), 3);
}

/// What each function is like, in the fewest instructions.
const START: &str = r#"
    .section .rodata
    .byte 0
source: .asciz "../../third_party/boringssl/src/ssl/ssl_lib.cc"
    .text
    .macro function name
    int3
    .p2align 4, 0xcc
    \name:
    push %rbp
    mov %rsp, %rbp
    .endm
    .macro error reason
    lea source(%rip), %rcx
    mov $16, %edi
    xor %esi, %esi
    mov $\reason, %edx
    mov $1, %r8d
    call put
    .endm
    .macro end
    pop %rbp
    ret
    .endm
    .macro shake
    call handshake
    test %eax, %eax
    js 1f
    error 215
1:
    .endm
    function put
    end
    function handshake
    error 134
    end
    function makes
    error 185
    end
"#;
const WRITE: &str = "
    function writes
    error 66
    error 226
    shake
    error 111
    end
";
const INNER: &str = "
    function inner
    error 226
    shake
    end
";
const READ: &str = "
    function reads
    error 66
    call inner
    mov %rax, 8(%rbx)
    end
";
const PEEK: &str = "
    function peeks
    error 66
    call inner
    mov %rax, 8(%rsp)
    end
";
const END: &str = "
    int3
    .p2align 4, 0xcc
";

fn assemble(folder: &Path, name: &str, parts: &[&str]) -> PathBuf {
    let source = folder.join(format!("{name}.S"));
    let library = folder.join(name);
    fs::write(&source, parts.concat()).unwrap();
    run(Command::new("cc")
        .args(["-shared", "-nostdlib", "-o"])
        .arg(&library)
        .arg(&source));
    library
}

#[test]
fn only_what_is_there_once() {
    let folder = folder("boringssl");
    let whole = assemble(&folder, "whole", &[START, WRITE, INNER, READ, PEEK, END]);
    assert_eq!(sorted(&whole, &found(&whole, Library::BoringSsl)), SITES);
    let twice = WRITE.replace("writes", "writes_too");
    let unlike = WRITE.replace("error 111", "error 112");
    let no_maker = START.replace("error 185", "error 186");
    let foreign = WRITE.replace("error 111", "error 111\n    lea source(%rip), %rcx");
    for (name, parts) in [
        ("no-maker", [&no_maker, WRITE, INNER, READ, PEEK, END]),
        ("no-write", [START, "", INNER, READ, PEEK, END]),
        ("no-inner", [START, WRITE, "inner:", READ, PEEK, END]),
        ("no-read", [START, WRITE, INNER, "", PEEK, END]),
        ("no-peek", [START, WRITE, INNER, READ, "", END]),
        ("another-reason", [START, &unlike, INNER, READ, PEEK, END]),
        ("another-error", [START, &foreign, INNER, READ, PEEK, END]),
    ] {
        assert_eq!(
            why(&assemble(&folder, name, &parts)).0,
            "BoringSSL",
            "{name}"
        );
    }
    let two = assemble(
        &folder,
        "two",
        &[START, WRITE, &twice, INNER, READ, PEEK, END],
    );
    assert_eq!(why(&two).0, "BoringSSL");
    // Two copies of the path: which one the functions mean is not asked.
    let path = "\n.section .rodata\n.asciz \"/x/boringssl/src/ssl/ssl_lib.cc\"\n.text\n";
    let paths = assemble(
        &folder,
        "paths",
        &[START, path, WRITE, INNER, READ, PEEK, END],
    );
    assert_eq!(why(&paths).0, "BoringSSL");
}
