//! The body is `headwater::fuzzing`'s.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headwater::fuzzing::run(data));
