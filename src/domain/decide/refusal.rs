//! How refusals are worded: the reason, the path of the field at fault below the command's own, and
//! what the reason promises to name.

use super::{CommandContext, Refusal};
use crate::proto::ErrorReason;

impl Refusal {
    /// A refusal that names nothing besides its field yet.
    pub(super) fn new(
        reason: ErrorReason,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            reason,
            field: field.into(),
            message: message.into(),
            metadata: [].into(),
        }
    }

    /// Names one thing that the reason promises to name.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.insert(key, value.into());
        self
    }

    /// Names what the refusal is about.
    pub(super) fn about(self, folder: &str, id: &str) -> Self {
        self.with("subject", format!("{folder}/{id}"))
    }
}

impl CommandContext<'_> {
    /// Refuses because of one field of the command, or, where none is at fault, of all of it.
    pub(super) fn refuse(
        &self,
        reason: ErrorReason,
        field: &str,
        message: impl Into<String>,
    ) -> Refusal {
        let separator = if field.is_empty() { "" } else { "." };
        Refusal::new(reason, format!("{}{separator}{field}", self.field), message)
    }

    /// Refuses the command as a whole.
    pub(super) fn refuse_command(
        &self,
        reason: ErrorReason,
        message: impl Into<String>,
    ) -> Refusal {
        Refusal::new(reason, self.field.to_string(), message)
    }
}
