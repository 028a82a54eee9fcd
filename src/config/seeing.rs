//! What is told of the daemon's work, and to whom: calls, traces, metrics.

use super::keys::Key;

/// What is told of the daemon's work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seeing {}

/// Its keys.
pub(super) static KEYS: [Key; 0] = [];
