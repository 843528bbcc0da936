"""Sweeps: a grid of evaluations, with or without training, run here or on a Slurm cluster."""
