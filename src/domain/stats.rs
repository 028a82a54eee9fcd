//! How often tactics work: counts to a chance of success and how sure it is.
