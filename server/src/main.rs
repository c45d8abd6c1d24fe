//! `headwater`: ask a Linux machine what its programs said to each other.
#![deny(unsafe_code)]

mod cli;
mod clock;
mod headers;
mod icmp;
mod paths;
mod probes;
mod record;
mod replay;

/// What one thread of a recorder allocates another frees. With glibc's allocator each kept what it once needed, and an exchange
/// came to cost half as much again after ten million; with this one neither (`cargo bench -p headwater-query` shows the growth).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> cli::Exit {
    cli::main()
}
