"""Verified initial states of the randomised setting, one file a task."""
