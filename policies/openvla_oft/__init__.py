"""OpenVLA, OpenVLA-OFT and Spatial Forcing checkpoints, and small models of the same code."""
