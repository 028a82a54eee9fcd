//! The access file.

/// Why the access file is not used.
#[derive(Debug, thiserror::Error)]
#[error("the access file is wrong")]
pub struct FileError {}
