"""One process of this machine at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from sfbench.sim.cache import cache_folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock in the cache folder; other processes that ask for it wait."""
    with (cache_folder("libero") / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
