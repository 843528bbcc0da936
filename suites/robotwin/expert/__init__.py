"""Scripted experts: motion primitives, and the bridge from a task's script to actions."""
