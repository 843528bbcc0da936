"""A small VGGT; see README.md."""
