"""Transforms between what a suite gives and takes and what the network reads and writes."""
