//! The body is `headwater_sites::fuzzing`'s.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headwater_sites::fuzzing::run(data));
