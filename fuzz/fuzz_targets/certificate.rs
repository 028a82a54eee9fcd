//! A client certificate.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| strata_fuzz::access::certificate(bytes));
