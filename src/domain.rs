//! The domain: what may happen to a plan, and what a plan is. Everything here is pure: no clock, no
//! I/O, no async; time, ids and what other plans hold are handed in. In reading order:
//!
//! - [`value`]: ids, times and subjects;
//! - [`plan`]: the state of a plan;
//! - [`evolve`]: events to state, corrections and retractions included;
//! - [`shape`]: what a request alone shows wrong, and its digest;
//! - [`decide`]: commands to events, or a refusal;
//! - [`suggest`]: which tactic comes next;
//! - [`event`]: names, subjects and one-line summaries of events, and events back to commands;
//! - [`show`]: state to the published views;
//! - [`wording`]: what the words of an intent say about it.

#[cfg(test)]
pub(crate) mod arbitrary;
pub mod decide;
pub mod event;
pub mod evolve;
#[cfg(test)]
pub(crate) mod given;
pub mod plan;
pub mod shape;
pub mod show;
pub mod suggest;
pub mod value;
pub mod wording;
