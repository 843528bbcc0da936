"""The trainer: from demonstrations to checkpoints, on one processor or many."""
