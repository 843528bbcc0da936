"""Markdown pages whose tables and numbers are written from rows."""
