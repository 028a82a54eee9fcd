//! How a strategy evolved: each revision, why it was made and what became of it.
