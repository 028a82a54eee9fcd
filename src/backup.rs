//! A backup: a stretch of the log as a file that vouches for itself, written while the log is
//! appended to and read back whole or not at all.
