"""Policies that are installed with this package: `checkpoint=shipped:NAME`, NAME a folder here.

Half-precision copies of trained checkpoints, each with a card, README.md. To add one:

    python -m sfbench_policies.weights CHECKPOINT NAME
"""
