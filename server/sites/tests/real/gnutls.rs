//! GnuTLS.

use std::path::Path;

use headwater_sites::{Library, Verdict};

use crate::tools::{compile, folder, found, sorted, touches, verdict};

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
    assert_eq!(touches(&found), 7, "handshake, bye, and what else may send");
}

#[test]
fn functions_of_openssl_that_are_made_of_its_are_not_told_again() {
    let folder = folder("over-gnutls");
    let library = compile(
        &folder,
        "over.so",
        "long gnutls_record_recv(void *, void *, unsigned long);
        int SSL_read(void *session, void *bytes, int length) {
            return gnutls_record_recv(session, bytes, length);
        }",
        &["-shared", "-fPIC"],
    );
    assert_eq!(verdict(&library), Verdict::None);
}
