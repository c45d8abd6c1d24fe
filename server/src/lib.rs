//! The body of the fuzz target that runs the whole pipeline. The program is `main.rs`; there is no other public face.
#![deny(unsafe_code)]

#[doc(hidden)]
pub mod fuzzing;
mod headers;
#[allow(dead_code, reason = "the raw sockets are the program's own")]
mod icmp;
#[allow(
    dead_code,
    unused_imports,
    reason = "the program's own, of which no capture file is read here"
)]
mod replay;
