//! Libraries that are known and not looked into, and what is no library at all.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use headwater_sites::{Library, Looked, Unsupported, look};

use crate::tools::{compile, folder, looked, why};

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
        assert_eq!(looked(&user), Looked::default());
    }
}

/// All that is in a file is told: what can be seen, and each that cannot.
#[test]
fn several_in_one_file() {
    let folder = folder("several");
    let library = compile(
        &folder,
        "several",
        "__attribute__((noipa)) static int work(void *s, void *b, int n) { return n + (s == b); }
        int SSL_read(void *s, void *b, int n) { return work(s, b, n) + 1; }
        int SSL_write(void *s, void *b, int n) { return work(s, b, n) + 2; }
        int mbedtls_ssl_read(void) { return 0; }
        int s2n_recv(void) { return 0; }
        const char *of_a_panic(void) { return \"/registry/rustls-0.23.46/src/conn.rs\"; }",
        &["-shared", "-fPIC"],
    );
    let looked = looked(&library);
    let found: Vec<_> = looked.found.iter().map(|one| one.library).collect();
    let unsupported: Vec<_> = looked.unsupported.iter().map(|one| one.library).collect();
    assert_eq!(found, [Library::OpenSsl]);
    assert_eq!(unsupported, ["Mbed TLS", "s2n-tls", "rustls"]);
}

/// A program without names is known by the source that its errors name, and not by what looks like it.
#[test]
fn known_by_their_source() {
    let folder = folder("sources");
    let long = format!("/{}/ssl/ssl_lib.c", "x".repeat(200));
    for (index, (constant, expected)) in [
        ("ssl/ssl_lib.c", &["OpenSSL"][..]),
        ("../deps/openssl/openssl/ssl/ssl_lib.c", &["OpenSSL"]),
        ("ssl_lib.c", &["OpenSSL"]),
        // Behind other words.
        ("made of: ssl/ssl_lib.c", &["OpenSSL"]),
        ("third_party/boringssl/ssl/ssl_lib.cc", &["BoringSSL"]),
        ("/aws-lc/ssl/ssl_lib.cc", &["a relative of BoringSSL"]),
        // The other library's name is in another text.
        (
            "boringssl\\0/aws-lc/ssl/ssl_lib.cc",
            &["a relative of BoringSSL"],
        ),
        ("boringssl, /x/ssl/ssl_lib.cc", &["a relative of BoringSSL"]),
        (
            "ssl/ssl_lib.c\\0boringssl/ssl/ssl_lib.cc",
            &["OpenSSL", "BoringSSL"],
        ),
        ("ssl/ssl_lib.cpp", &[]),
        ("ssl/ssl_lib.c:12", &[]),
        ("ssl/ssl_lib.cc, and more", &[]),
        ("my_ssl_lib.c", &[]),
        (&long, &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let source = format!("const char text[] = \"{constant}\";");
        let options = ["-shared", "-fPIC"];
        let library = compile(&folder, &format!("source-{index}"), &source, &options);
        let looked = looked(&library);
        let libraries: Vec<_> = looked.unsupported.iter().map(|one| one.library).collect();
        assert_eq!(libraries, expected, "{constant}: {looked:?}");
        assert_eq!(looked.found, [], "{constant}");
    }
}

#[test]
fn java_is_known_by_its_machine() {
    let looked = look(Cursor::new(b"\x7fELF"), "libjvm.so").unwrap();
    let libraries: Vec<_> = looked.unsupported.iter().map(|one| one.library).collect();
    assert_eq!((looked.found.len(), libraries), (0, vec!["Java JSSE"]));
}

#[test]
fn a_library_of_another_width_is_named() {
    // All that is looked at is which kind of file it is and what it is called.
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(64, 0);
    for (name, library) in [("libssl.so.3", "OpenSSL"), ("libgnutls.so.30.1", "GnuTLS")] {
        let looked = look(Cursor::new(&file), name).unwrap();
        let [
            Unsupported {
                library: found,
                why,
            },
        ] = looked.unsupported.as_slice()
        else {
            panic!("{looked:?}");
        };
        assert_eq!(*found, library);
        assert!(why.contains("64 bits"), "{why}");
    }
    assert_eq!(
        look(Cursor::new(&file), "libc.so.6").unwrap(),
        Looked::default()
    );
}

/// Programs run without section headers, and the tables that a loader uses tell the same.
#[test]
fn without_section_headers() {
    let whole = fs::read("/usr/lib/x86_64-linux-gnu/libssl.so.3").unwrap();
    let mut bytes = whole.clone();
    bytes[0x28..0x30].fill(0);
    bytes[0x3c..0x40].fill(0);
    let looked = |bytes: &[u8]| look(Cursor::new(bytes), "libssl.so.3").unwrap();
    assert_eq!(looked(&bytes), looked(&whole));
}

#[test]
fn nothing_speaks_tls_in_these() {
    for path in [
        "/bin/ls",
        "/bin/sh",
        "/etc/passwd",
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
    ] {
        assert_eq!(looked(Path::new(path)), Looked::default(), "{path}");
    }
    assert_eq!(look(Cursor::new(b""), "empty").unwrap(), Looked::default());
}
