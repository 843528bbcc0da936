"""A dataset held in memory: for tests, and for a few episodes made on the spot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.demos.content import ContentHash, dataset_hash
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
    """Its content hash; see ContentHash."""
    content = ContentHash()
    tables: dict[str, NDArray[Any]] = {"state": episode.state, "actions": episode.actions}
    tables |= {f"images/{name}": table for name, table in episode.images.items()}
    for name, table in tables.items():
        for row in table:
            content.add(name, row)
    return content.finish(episode.info.instruction)


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
        return dataset_hash(self.spec, self.episodes)

    def close(self) -> None:
        """See Source."""
