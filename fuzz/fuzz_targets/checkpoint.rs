//! What an auditor is shown.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| strata_fuzz::wire::checkpoint(bytes));
