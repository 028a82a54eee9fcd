//! Strata, the system of record for why a plan changed. In reading order:
//!
//! - [`proto`]: the published language;
//! - [`json`]: the published language as proto3 JSON, in and out;
//! - [`domain`]: what may happen to a plan, and what a plan is;

pub mod domain;
pub mod json;
pub mod proto;
