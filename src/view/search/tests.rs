//! Searches over histories that are told to a view.
