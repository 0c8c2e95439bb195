//! Arbitrary packets in arbitrary pieces as a milter connection; the properties stand in
//! `check/milter.rs`.

#![no_main]

#[path = "check/milter.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
