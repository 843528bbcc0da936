"""Where Numba keeps compiled kernels: in the cache folder, not beside code or in HOME."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sfbench.sim.cache import cache_folder

_lock = threading.RLock()


@contextmanager
def kernels_cached() -> Iterator[None]:
    """Functions decorated inside are compiled once per machine.

    Numba picks the place when a function is decorated; its setting is put back afterwards.
    """
    import numba

    settings: Any = numba.config
    with _lock:
        before = settings.CACHE_DIR
        settings.CACHE_DIR = str(cache_folder("numba"))
        try:
            yield
        finally:
            settings.CACHE_DIR = before
