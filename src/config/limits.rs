//! How much callers may do at once, each and all of them.

use super::keys::Key;

/// How much callers may do at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {}

/// Its keys.
pub(super) static KEYS: [Key; 0] = [];
