//! A value of the journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| strata_fuzz::files::stored_value(bytes));
