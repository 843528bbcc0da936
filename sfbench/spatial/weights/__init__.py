"""Weights that come with this project, each with a card (README.md)."""
