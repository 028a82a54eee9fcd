//! The keys of an issuer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| strata_fuzz::access::jwk_set(bytes));
