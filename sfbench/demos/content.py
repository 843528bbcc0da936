"""The hash of what an episode holds, the same whatever format it is stored in."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import stable_hash
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import DatasetSpec


class ContentHash:
    """Of an episode's images, states, actions and instruction, row by row as they come.

    Depth and other extras do not count: they follow from the same simulation.
    """

    def __init__(self) -> None:
        self._tables: dict[str, Any] = {}

    def add(self, name: str, row: NDArray[Any]) -> None:
        """Add a table's next row: `state`, `actions` or `images/<camera>`."""
        if name not in self._tables:
            self._tables[name] = hashlib.sha256(f"{row.dtype.str} {row.shape}".encode())
        self._tables[name].update(np.ascontiguousarray(row).tobytes())

    def finish(self, instruction: str) -> str:
        """16 hex digits."""
        digests = {name: table.hexdigest() for name, table in self._tables.items()}
        return stable_hash([instruction, digests])


def dataset_hash(spec: DatasetSpec, episodes: Sequence[EpisodeInfo]) -> str:
    """Hash of the conventions and of every episode's content, 16 hex digits."""
    conventions = {key: value for key, value in spec.to_json().items() if key != "extras"}
    return stable_hash([conventions, [episode.content for episode in episodes]])
