"""Pre- and post-processing, one tested transform a file; numpy only."""
