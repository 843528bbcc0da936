"""Measurements of our own speed, always against a floor in the same run."""
