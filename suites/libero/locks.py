"""One process of this machine at a time."""

from contextlib import AbstractContextManager

from sfbench.sim import cache


def locked(name: str) -> AbstractContextManager[None]:
    """Hold a lock in the cache folder; other processes that ask for it wait."""
    return cache.locked(cache.cache_folder("libero") / f"{name}.lock")
