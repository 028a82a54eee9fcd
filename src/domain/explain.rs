//! Why: the closure of what events say they are because of, and what they led to.
