"""Demonstrations: collecting them, the dataset folder, subsets, statistics, and the loader."""
