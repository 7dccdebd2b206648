"""From plans to decisions: compiled and exact evaluation, and the order of a decision."""
