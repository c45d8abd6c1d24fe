//! GnuTLS.

use std::path::Path;

use headwater_sites::{Library, Looked};

use crate::tools::{compile, folder, found, looked, sorted, touches};

#[test]
fn debians_library() {
    let path = Path::new("/usr/lib/x86_64-linux-gnu/libgnutls.so.30");
    let found = found(path, Library::GnuTls);
    // gnutls_record_send jumps to gnutls_record_send2 and is not among them.
    assert_eq!(
        sorted(path, &found),
        [
            "Free je",
            "LeaveReturn mov",
            "LeaveReturn push",
            "LeaveReturn sub",
            "ReadEnter mov",
            "ReadEnter sub",
            "WriteEnter push",
        ]
    );
    assert_eq!(touches(&found), 8, "handshake, bye, and what else may send");
}

#[test]
fn functions_of_openssl_that_are_made_of_its_are_not_told_again() {
    let folder = folder("over-gnutls");
    for (name, option) in [("over.so", "-fplt"), ("over-no-table.so", "-fno-plt")] {
        let library = compile(
            &folder,
            name,
            "long gnutls_record_recv(void *, void *, unsigned long);
            int SSL_read(void *session, void *bytes, int length) {
                return gnutls_record_recv(session, bytes, length);
            }",
            &["-shared", "-fPIC", option],
        );
        assert_eq!(looked(&library), Looked::default(), "{name}");
    }
}

/// What a file calls of the other library by itself says nothing of its functions.
#[test]
fn functions_of_openssl_beside_calls_of_its_are_told() {
    let library = compile(
        &folder("beside-gnutls"),
        "beside.so",
        "long gnutls_record_recv(void *, void *, unsigned long);
        __attribute__((noipa)) int SSL_read(void *session, void *bytes, int length) { return length - 1; }
        __attribute__((noipa)) int SSL_write(void *session, void *bytes, int length) {
            return gnutls_record_recv(session, bytes, length);
        }
        long other(void *session, void *bytes) { return gnutls_record_recv(session, bytes, 3); }",
        &["-shared", "-fPIC"],
    );
    assert_eq!(
        sorted(&library, &found(&library, Library::OpenSsl)),
        ["LeaveReturn lea", "ReadEnter lea"]
    );
}
