"""A teacher's features of a whole dataset on disk, memory-mapped."""
