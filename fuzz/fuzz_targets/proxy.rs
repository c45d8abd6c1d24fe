//! The body is `headwater_protocols::fuzzing`'s.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headwater_protocols::fuzzing::run("proxy", data));
