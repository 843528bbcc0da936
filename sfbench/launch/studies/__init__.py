"""Whole studies as sweep files: `sfbench sweep study=NAME scale=NAME`."""
