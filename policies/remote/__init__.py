"""Policies that run elsewhere and answer over a websocket."""
