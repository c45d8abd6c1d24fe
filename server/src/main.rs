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

fn main() -> cli::Exit {
    cli::main()
}
