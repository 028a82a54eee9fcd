//! Whether a strategy does the right things, and whether it does things right.
