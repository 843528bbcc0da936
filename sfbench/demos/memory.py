"""A dataset held in memory: for tests, and for a few episodes made on the spot."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import stable_hash
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import DatasetSpec
from sfbench.demos.statistics import Statistics, statistics_of_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeArrays:
    """One demonstration of T frames, decoded.

    Attributes:
        info: what is known of it.
        images: camera name to uint8 [T, H, W, 3].
        state: float32 [T, S].
        actions: float32 [T, A].
        extras: name to [T, ...]; see DemoBatch.
    """

    info: EpisodeInfo
    images: Mapping[str, NDArray[np.uint8]]
    state: NDArray[np.float32]
    actions: NDArray[np.float32]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def content_of(episode: EpisodeArrays) -> str:
    """Hash of all that a trainer reads of an episode, 16 hex digits."""
    digest = hashlib.sha256(episode.info.instruction.encode())
    tables: dict[str, NDArray[Any]] = {"state": episode.state, "actions": episode.actions}
    tables |= {f"images/{name}": table for name, table in episode.images.items()}
    tables |= dict(episode.extras)
    for name in sorted(tables):
        table = np.ascontiguousarray(tables[name])
        digest.update(f"{name} {table.dtype.str} {table.shape}".encode())
        digest.update(table.tobytes())
    return digest.hexdigest()[:16]


class MemorySource:
    """Implements `sfbench.demos.source.Source`."""

    def __init__(self, spec: DatasetSpec, episodes: Sequence[EpisodeArrays]) -> None:
        self.spec = spec
        self._arrays = tuple(episodes)
        self.episodes: Sequence[EpisodeInfo] = tuple(
            replace(item.info, index=index, length=len(item.actions), content=content_of(item))
            for index, item in enumerate(episodes)
        )

    def vectors(self, episode: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See Source."""
        return self._arrays[episode].state, self._arrays[episode].actions

    def frames(self, episode: int, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """See Source."""
        return self._arrays[episode].images[camera][list(indices)]

    def extra_rows(self, episode: int, name: str, indices: Sequence[int]) -> NDArray[Any]:
        """See Source."""
        return self._arrays[episode].extras[name][list(indices)]

    def statistics(self) -> Statistics:
        """See Source."""
        return statistics_of_tables(
            [item.state for item in self._arrays], [item.actions for item in self._arrays]
        )

    def subsets(self) -> dict[str, tuple[int, ...]]:
        """See Source."""
        return {}

    def content_hash(self) -> str:
        """See Source."""
        return stable_hash([self.spec.to_json(), [item.content for item in self.episodes]])

    def close(self) -> None:
        """See Source."""
