//! Strata, in reading order.

pub mod journal;
