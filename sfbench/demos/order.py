"""In which order frames are drawn: a pure function of the settings and the position."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sfbench.rollout.seeds import derive_seed


class SampleOrder:
    """An endless stream of sample indices: every epoch is a seeded permutation of all samples."""

    def __init__(self, samples: int, seed: int) -> None:
        self._samples, self._seed = samples, seed

    def take(self, start: int, count: int) -> NDArray[np.int64]:
        """Positions `start` to `start + count` of the stream, across epochs where need be."""
        found: list[NDArray[np.int64]] = []
        while count:
            epoch, offset = divmod(start, self._samples)
            part = _permutation(self._samples, self._seed, epoch)[offset : offset + count]
            found.append(part)
            start, count = start + len(part), count - len(part)
        return np.concatenate(found) if found else np.empty(0, np.int64)


@lru_cache(maxsize=2)
def _permutation(samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    generator = np.random.Generator(np.random.PCG64(derive_seed("order", seed, epoch)))
    # Sorting random keys: unlike Generator.permutation its result is fixed by the bit stream alone.
    keys = generator.integers(0, 2**63, size=samples, dtype=np.int64)
    order: NDArray[np.int64] = np.argsort(keys, kind="stable")
    return order
