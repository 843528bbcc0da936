"""Sizes of a study, by the machine that it is for."""
