//! What differs in a plan between two points, thing by thing and field by field.
