"""Weights: see README.md."""
