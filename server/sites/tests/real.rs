//! What is found in libraries and programs as they are, by the instructions that the sites are.
//!
//! Needs a C compiler, `go`, OpenSSL's development files, GnuTLS, and the Python environment that `./test` makes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets what it did not expect must end"
)]

#[path = "real/boringssl.rs"]
mod boringssl;
#[path = "real/gnutls.rs"]
mod gnutls;
#[path = "real/go.rs"]
mod go;
#[path = "real/openssl.rs"]
mod openssl;
#[path = "real/others.rs"]
mod others;
#[path = "real/rustls.rs"]
mod rustls;
#[path = "real/tools.rs"]
mod tools;
#[path = "real/unnamed.rs"]
mod unnamed;
