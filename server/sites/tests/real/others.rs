//! Libraries that are known and not looked into, and what is no library at all.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use headwater_sites::{Verdict, look};

use crate::tools::{compile, folder, verdict, why};

#[test]
fn known_by_their_functions() {
    let folder = folder("others");
    for (function, name) in [
        ("SSL_ImportFD", "NSS"),
        ("mbedtls_ssl_read", "Mbed TLS"),
        ("wolfSSL_read", "wolfSSL"),
        ("s2n_recv", "s2n-tls"),
    ] {
        let library = compile(
            &folder,
            function,
            &format!("int {function}(void) {{ return 0; }}"),
            &["-shared", "-fPIC"],
        );
        assert_eq!(why(&library).0, name);
        // Who only calls it has nothing in itself.
        let user = compile(
            &folder,
            &format!("{function}-user"),
            &format!("int {function}(void); int other(void) {{ return {function}(); }}"),
            &["-shared", "-fPIC"],
        );
        assert_eq!(verdict(&user), Verdict::None);
    }
}

#[test]
fn java_is_known_by_its_machine() {
    let verdict = look(Cursor::new(b"\x7fELF"), "libjvm.so").unwrap();
    assert!(
        matches!(
            verdict,
            Verdict::Unsupported {
                library: "Java JSSE",
                ..
            }
        ),
        "{verdict:?}"
    );
}

#[test]
fn a_library_of_another_width_is_named() {
    // All that is looked at is which kind of file it is and what it is called.
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(64, 0);
    for (name, library) in [("libssl.so.3", "OpenSSL"), ("libgnutls.so.30.1", "GnuTLS")] {
        let verdict = look(Cursor::new(&file), name).unwrap();
        let Verdict::Unsupported {
            library: found,
            why,
        } = verdict
        else {
            panic!("{verdict:?}");
        };
        assert_eq!(found, library);
        assert!(why.contains("64 bits"), "{why}");
    }
    assert_eq!(
        look(Cursor::new(&file), "libc.so.6").unwrap(),
        Verdict::None
    );
}

/// Programs run without section headers, and the tables that a loader uses tell the same.
#[test]
fn without_section_headers() {
    let whole = fs::read("/usr/lib/x86_64-linux-gnu/libssl.so.3").unwrap();
    let mut bytes = whole.clone();
    bytes[0x28..0x30].fill(0);
    bytes[0x3c..0x40].fill(0);
    let verdict = |bytes: &[u8]| look(Cursor::new(bytes), "libssl.so.3").unwrap();
    assert_eq!(verdict(&bytes), verdict(&whole));
}

#[test]
fn nothing_speaks_tls_in_these() {
    for path in [
        "/bin/ls",
        "/bin/sh",
        "/etc/passwd",
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
    ] {
        assert_eq!(verdict(Path::new(path)), Verdict::None, "{path}");
    }
    assert_eq!(look(Cursor::new(b""), "empty").unwrap(), Verdict::None);
}
