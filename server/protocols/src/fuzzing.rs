//! What must be true of each parser whatever the bytes are: the bodies of the targets under `fuzz/`, and of the test that
//! replays their corpora. No part of the public face.
//!
//! Owns: one function for each target, which panics where a parser breaks its word, and the `script` that makes pieces
//! and skips of plain bytes. Refuses: to find inputs; a fuzzer, a corpus or a loop with random bytes does.
//!
//! A new target is a file here, a line in [`TARGETS`], five lines in `fuzz/fuzz_targets/`, an entry in `fuzz/Cargo.toml`
//! and some inputs under `fuzz/corpus/`.

mod dns;
mod event_stream;
mod grpc;
mod hpack;
mod http1;
mod http2;
mod proxy;
mod quic;
mod script;
mod tcp;
mod tls;
mod websocket;

/// What a target does with an input.
pub type Body = fn(&[u8]);

/// Each target by its name: that of its file under `fuzz/fuzz_targets/` and of its folder under `fuzz/corpus/`.
pub const TARGETS: &[(&str, Body)] = &[
    ("dns", dns::run),
    ("event_stream", event_stream::run),
    ("grpc", grpc::run),
    ("hpack", hpack::run),
    ("http1", http1::run),
    ("http2", http2::run),
    ("proxy", proxy::run),
    ("quic", quic::run),
    ("tcp", tcp::run),
    ("tls", tls::run),
    ("websocket", websocket::run),
];

/// Runs `target` on `data`.
///
/// # Panics
///
/// Where the parser breaks its word, and when there is no such target.
pub fn run(target: &str, data: &[u8]) {
    let (_, body) = TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .unwrap_or_else(|| panic!("no target {target}"));
    body(data);
}
