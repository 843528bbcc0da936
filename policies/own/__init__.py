"""A user's own policy from a Python file, without packaging it."""
