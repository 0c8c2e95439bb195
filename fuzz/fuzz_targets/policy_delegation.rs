//! Arbitrary bytes in arbitrary pieces as a policy delegation connection; the properties stand in
//! `check/policy_delegation.rs`.

#![no_main]

#[path = "check/policy_delegation.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
