"""Stored `eval` lists, one JSON a task; written by `python -m sfbench_suites.robotwin.verify`."""
