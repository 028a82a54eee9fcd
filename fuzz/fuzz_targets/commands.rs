//! Commands that mean something, one after another.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| strata_fuzz::plans::commands(bytes));
