//! Who may call: where tokens, certificates and the keys of signed tokens are known from.

use super::keys::Key;

/// Who may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {}

/// Its keys.
pub(super) static KEYS: [Key; 0] = [];
