"""Giving memory back."""

import ctypes


def return_freed_memory() -> None:
    """Let the C library return what it keeps after big models were freed; elsewhere do nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
