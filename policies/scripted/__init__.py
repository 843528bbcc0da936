"""Policies without a network: expert, noop, random, replay."""
