//! The line of sight: what a tactic or a commitment is for, up to the objective.
