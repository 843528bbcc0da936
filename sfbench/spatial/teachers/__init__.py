"""Frozen networks, and oracles, that the policy's visual tokens are pulled towards."""
