//! OpenSSL without the names of its functions: what is found is where it is found with them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_sites::{Found, Hook, Library, Site};

use crate::tools::{compile, folder, found, looked, packaged, run, strip, why};

/// A program that calls all that is looked for.
const PROGRAM: &str = "
#include <openssl/ssl.h>
int main(void) {
    char bytes[16];
    size_t count;
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    SSL *session = SSL_new(context);
    SSL_do_handshake(session);
    SSL_peek(session, bytes, 16);
    SSL_peek_ex(session, bytes, 16, &count);
    SSL_read(session, bytes, 16);
    SSL_read_ex(session, bytes, 16, &count);
    SSL_read_early_data(session, bytes, 16, &count);
    SSL_write(session, bytes, 16);
    SSL_write_ex(session, bytes, 16, &count);
    SSL_write_early_data(session, bytes, 16, &count);
    SSL_sendfile(session, 0, 0, 16, 0);
    SSL_shutdown(session);
    SSL_free(session);
    return BIO_puts(BIO_new_ssl(context, 1), \"a\");
}
";

/// The offsets and hooks of `found`, those of sessions that end apart: these put no errors. What only touches a session is told as
/// the function that the named ones call, too.
fn bytes_of(found: &Found) -> BTreeSet<(u64, String)> {
    let is_told = |site: &&Site| !matches!(site.hook, Hook::Free | Hook::Made | Hook::Touch);
    let sites = found.sites.iter().filter(is_told);
    sites
        .map(|site| (site.offset, format!("{:?}", site.hook)))
        .collect()
}

fn touches(found: &Found) -> BTreeSet<u64> {
    let touches = found.sites.iter().filter(|site| site.hook == Hook::Touch);
    touches.map(|site| site.offset).collect()
}

/// Where bytes are told in `path` they are without its names, and as many functions beside as there may be.
fn is_found_without_names(path: &Path, unnamed: &Path) {
    let (named, unnamed) = (
        found(path, Library::OpenSsl),
        found(unnamed, Library::OpenSsl),
    );
    assert_eq!(bytes_of(&unnamed), bytes_of(&named), "{}", path.display());
    assert!(unnamed.fewer.is_empty());
    let (named, unnamed) = (touches(&named), touches(&unnamed));
    assert!(
        unnamed.difference(&named).count() <= 1,
        "{}: {named:x?} {unnamed:x?}",
        path.display()
    );
    assert!(unnamed.len() >= 2);
}

#[test]
fn debians_library_in_a_program() {
    let folder = folder("unnamed");
    let libraries = ["-l:libssl.a", "-l:libcrypto.a", "-ldl", "-lpthread"];
    for (name, options) in [
        ("program", &["-pie"][..]),
        // Loaded where the file says.
        ("at-its-place", &["-no-pie"]),
        ("alone", &["-static"]),
    ] {
        let options: Vec<&str> = options.iter().chain(&libraries).copied().collect();
        let program = compile(&folder, name, PROGRAM, &options);
        is_found_without_names(&program, &strip(&program));
    }
}

/// Where other compilers made it, of other versions: what Python's cryptography has in itself.
#[test]
fn pythons_cryptography() {
    let folder = folder("unnamed-cryptography");
    let path = packaged("cryptography/hazmat/bindings", "_rust", ".so");
    let unnamed = folder.join("stripped.so");
    run(Command::new("strip").arg("-o").arg(&unnamed).arg(&path));
    is_found_without_names(&path, &unnamed);
}

/// A library of 1.1, shared, whose names are other ones.
#[test]
fn numbers_instead_of_names() {
    let path = packaged("psycopg2_binary.libs", "libssl-", ".so.1.1");
    let mut bytes = fs::read(&path).unwrap();
    renamed(&mut bytes, &dynamic_names(&path));
    let unnamed = folder("unnamed-shared").join("libssl.so.1.1");
    fs::write(&unnamed, bytes).unwrap();
    is_found_without_names(&path, &unnamed);
}

/// Where in the file its names for others are.
fn dynamic_names(path: &Path) -> std::ops::Range<usize> {
    let output = Command::new("readelf")
        .args(["-SW"])
        .arg(path)
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let line = output
        .lines()
        .find(|line| line.contains(" .dynstr "))
        .unwrap();
    let words: Vec<&str> = line.split(']').nth(1).unwrap().split_whitespace().collect();
    let number = |index: usize| usize::from_str_radix(words[index], 16).unwrap();
    number(3)..number(3) + number(4)
}

fn renamed(bytes: &mut [u8], names: &std::ops::Range<usize>) {
    let names = &mut bytes[names.clone()];
    for at in 0..names.len().saturating_sub(4) {
        if names[at..].starts_with(b"SSL_") {
            names[at..at + 3].copy_from_slice(b"ZZZ");
        }
    }
}

/// What each function is like, in the fewest instructions.
const START: &str = r#"
    .section .rodata
    .byte 0
source: .asciz "ssl/ssl_lib.c"
n_read: .asciz "SSL_read"
n_read_inner: .asciz "ssl_read_internal"
n_write: .asciz "SSL_write"
n_write_inner: .asciz "ssl_write_internal"
n_shake: .asciz "SSL_do_handshake"
n_other: .asciz "SSL_other"
n_make: .asciz "SSL_new"
    .text
    .macro function name
    .p2align 4
    .type \name, @function
    \name:
    .cfi_startproc
    .endm
    .macro error name
    lea \name(%rip), %rdx
    mov $7, %esi
    lea source(%rip), %rdi
    call put
    .endm
    .macro end
    ret
    .cfi_endproc
    .endm
    .macro outer inner, name
    test %edx, %edx
    js 1f
    push %rbx
    movslq %edx, %rdx
    mov %rsp, %rcx
    call \inner
    test %eax, %eax
    jle 2f
    mov (%rsp), %eax
2:
    pop %rbx
    ret
1:
    error \name
    mov $-1, %eax
    .endm
    function put
    end
    function make
    error n_make
    end
    function made
    call make
    end
"#;
const INNER: &str = "
    function read_inner
    error n_read_inner
    end
    function write_inner
    error n_write_inner
    end
";
const READ: &str = "
    function read
    outer read_inner, n_read
    end
";
const WRITE: &str = "
    function write
    outer write_inner, n_write
    end
";
const READ_EX: &str = "
    function read_ex
    push %rbx
    call read_inner
    pop %rbx
    end
";
const SHAKE: &str = "
    function shake
    error n_shake
    end
    function shaken
    call shake
    end
";

fn assemble(folder: &Path, name: &str, parts: &[&str]) -> PathBuf {
    let source = folder.join(format!("{name}.S"));
    let library = folder.join(name);
    fs::write(&source, parts.concat()).unwrap();
    run(Command::new("cc")
        .args(["-shared", "-nostdlib", "-s", "-o"])
        .arg(&library)
        .arg(&source));
    library
}

fn hooks(path: &Path) -> Vec<String> {
    let found = found(path, Library::OpenSsl);
    let mut hooks: Vec<String> = found
        .sites
        .iter()
        .map(|site| format!("{:?}", site.hook))
        .collect();
    hooks.sort();
    hooks
}

#[test]
fn only_what_is_there_once_and_called_by_those_who_must() {
    let folder = folder("unnamed-assembled");
    let whole = assemble(
        &folder,
        "whole",
        &[START, INNER, READ, WRITE, READ_EX, SHAKE],
    );
    let of_bytes = [
        "Leave",
        "Leave",
        "Leave",
        "Made",
        "ReadEnterOut",
        "ReadEnterOut",
        "Touch",
        "WriteEnterOut",
    ];
    assert_eq!(hooks(&whole), of_bytes);
    // What is only jumped to may be any part of another.
    let shake = SHAKE.replace("call shake", ".byte 0x0f, 0x88\n .long shake - . - 4");
    let alone = assemble(
        &folder,
        "alone",
        &[START, INNER, READ, WRITE, READ_EX, &shake],
    );
    assert_eq!(
        hooks(&alone),
        of_bytes
            .map(str::to_owned)
            .into_iter()
            .filter(|hook| hook != "Touch")
            .collect::<Vec<_>>()
    );
    let not_made = START.replace("call make", ".byte 0xe9\n .long make - . - 4");
    let twice = READ.replace("function read", "function read_too");
    let also = READ.replace(
        "n_read
",
        "n_read
    error n_other
",
    );
    let not_called = READ.replace("outer read_inner", "outer write_inner");
    let stranger = "function stranger\nxor %esi, %esi\ncall read_inner\nend\n";
    let flagged = START.replace(
        "mov %rsp, %rcx",
        "mov $3, %ecx
 mov %rsp, %r8",
    );
    let computed = START.replace(
        "lea source(%rip), %rdi",
        "lea source+1(%rip), %rdi\n sub $1, %rdi",
    );
    let unwound = |part: &str| {
        part.replace(".cfi_startproc", "")
            .replace(".cfi_endproc", "")
    };
    let (bare_start, path) = (
        unwound(START),
        "\n.section .rodata\n.asciz \"/x/ssl/ssl_lib.c\"\n.text\n",
    );
    for (name, parts) in [
        ("not-made", [&not_made, INNER, READ, WRITE, READ_EX]),
        ("no-read", [START, INNER, "", WRITE, READ_EX]),
        ("no-write", [START, INNER, READ, "", READ_EX]),
        (
            "no-inner",
            [START, "read_inner: write_inner:", READ, WRITE, READ_EX],
        ),
        ("twice", [START, INNER, READ, WRITE, &twice]),
        ("two-names", [START, INNER, &also, WRITE, READ_EX]),
        ("not-called", [START, INNER, &not_called, WRITE, READ_EX]),
        ("stranger", [START, INNER, READ, WRITE, stranger]),
        ("flags", [&flagged, INNER, READ, WRITE, READ_EX]),
        ("computed", [&computed, INNER, READ, WRITE, READ_EX]),
        ("no-table", [&bare_start, INNER, READ, WRITE, READ_EX]),
        ("two-paths", [START, path, INNER, READ, WRITE]),
    ] {
        assert_eq!(why(&assemble(&folder, name, &parts)).0, "OpenSSL", "{name}");
    }
    assert!(looked(&whole).unsupported.is_empty());
}
