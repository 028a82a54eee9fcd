//! How the API is served: over what, to which pages, and how the daemon refuses to be reached from elsewhere without protection.

use super::keys::Key;

/// How the API is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serving {}

/// Its keys.
pub(super) static KEYS: [Key; 0] = [];
