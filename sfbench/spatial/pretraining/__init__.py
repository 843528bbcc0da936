"""Pretraining of a small VGGT on rendered scenes of a suite, with true depth and cameras."""
