"""Recipes: config files that set several keys of `sfbench train` at once."""
