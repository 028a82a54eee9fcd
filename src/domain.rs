//! The domain: what may happen to a plan, and what a plan is. Everything here is pure: no clock, no
//! I/O, no async; time, ids and what other plans hold are handed in. In reading order:
//!
//! - [`value`]: ids, times and subjects;
//! - [`plan`]: the state of a plan;
//! - [`evolve`]: events to state, corrections and retractions included;
//! - [`history`]: a plan's events, and what they come to at a moment;
//! - [`shape`]: what a request alone shows wrong, and its digest;
//! - [`decide`]: commands to events, or a refusal;
//! - [`suggest`]: which tactic comes next;
//! - [`outcomes`]: how the attempts of tactics ended, counted;
//! - [`reliability`]: how people keep their commitments, counted;
//! - [`event`]: names, subjects and one-line summaries of events, and events back to commands;
//! - [`wording`]: what the words of an intent say about it;
//! - [`permits`]: which plans somebody may be shown;
//! - [`stats`], [`assess`], [`review`]: how often tactics work, how strategies do, what is wrong;
//! - [`explain`], [`revisions`], [`sight`], [`diff`]: why, how it evolved, what for, what differs;
//! - [`show`]: state to the published views.

#[cfg(test)]
pub(crate) mod arbitrary;
pub mod assess;
pub mod decide;
pub mod diff;
pub mod event;
pub mod evolve;
pub mod explain;
#[cfg(test)]
pub(crate) mod given;
pub mod history;
pub mod outcomes;
pub mod permits;
pub mod plan;
pub mod reliability;
pub mod review;
pub mod revisions;
pub mod shape;
pub mod show;
pub mod sight;
pub mod stats;
pub mod suggest;
pub mod value;
pub mod wording;
