//! What is wrong with a plan: findings with stable codes, each with the events behind it and what to do.
