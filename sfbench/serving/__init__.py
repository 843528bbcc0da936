"""Policies over a network: the two websocket protocols in use, and a server for any policy."""
