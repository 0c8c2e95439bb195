//! Arbitrary text as a configuration and its directory file; the properties stand in
//! `check/settings.rs`.

#![no_main]

#[path = "check/settings.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
