"""Making the batch of any position: the part of the loader that runs in every worker.

Frames are drawn one by one from the whole dataset and decoded on demand, so memory does not grow
with the dataset: only its states and actions are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfbench.demos.batch import DemoBatch
from sfbench.demos.dataset import Dataset
from sfbench.demos.order import SampleOrder
from sfbench.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderSettings:
    """What is loaded, and by how many.

    Attributes:
        batch_size: samples in each rank's batch, B.
        chunk_steps: actions in each sample, K.
        cameras: which images; None for all that the dataset has.
        episodes: ids to draw from; None for all.
        seed: of the order.
        workers: processes that decode; 0 decodes in this one. It does not change the order.
        rank: this process's place among `world_size`. All ranks together take the batches that
            one rank would take with batch_size * world_size.
        world_size: processes that train together.
        extras: depth and the like to load as well; see DemoBatch.
    """

    batch_size: int
    chunk_steps: int
    cameras: tuple[str, ...] | None = None
    episodes: tuple[int, ...] | None = None
    seed: int = 0
    workers: int = 0
    rank: int = 0
    world_size: int = 1
    extras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse numbers outside their range. Raises UsageError."""
        for key, least in (("batch_size", 1), ("chunk_steps", 1), ("workers", 0), ("seed", 0)):
            if getattr(self, key) < least:
                raise UsageError(f"loader {key}={getattr(self, key)}: allowed {least} or more")
        if not 0 <= self.rank < self.world_size:
            raise UsageError(
                f"loader rank={self.rank}, world_size={self.world_size}: rank is 0 to world_size-1"
            )


class BatchReader:
    """Makes the batch of any position."""

    def __init__(self, dataset: Dataset, settings: LoaderSettings) -> None:
        """Check the settings against the dataset.

        Raises:
            UsageError: an unknown camera, extra or episode.
        """
        spec = dataset.spec
        every = tuple(camera.name for camera in spec.cameras)
        self._cameras = every if settings.cameras is None else settings.cameras
        for name in self._cameras:
            spec.camera(name)
        spec.check_extras(settings.extras)
        everything = range(len(dataset.episodes))
        chosen = everything if settings.episodes is None else settings.episodes
        dataset.check_episodes(list(chosen))
        # Sorted: the order depends on the set of episodes, not on how it was written down.
        self._episodes = np.array(sorted(chosen), np.int64)
        lengths = [dataset.episodes[index].length for index in self._episodes]
        self._ends = np.cumsum(np.array(lengths, np.int64))
        self._order = SampleOrder(self.samples, settings.seed)
        self._dataset, self._settings = dataset, settings

    @property
    def samples(self) -> int:
        """Frames in an epoch."""
        return int(self._ends[-1])

    def batch(self, position: int) -> DemoBatch:
        """This rank's batch number `position`. Raises DatasetError for a damaged file."""
        settings = self._settings
        start = (position * settings.world_size + settings.rank) * settings.batch_size
        return self._read(self._order.take(start, settings.batch_size))

    def _read(self, samples: NDArray[np.int64]) -> DemoBatch:
        place = np.searchsorted(self._ends, samples, side="right")
        episodes = self._episodes[place]
        lengths = np.diff(self._ends, prepend=0)[place]
        frames = samples - (self._ends[place] - lengths)
        pairs = [(int(one), int(two)) for one, two in zip(episodes, frames, strict=True)]
        source = self._dataset.source
        states, chunks, valid = self._vectors(pairs)
        return DemoBatch(
            images={
                name: np.concatenate([source.frames(one, name, [two]) for one, two in pairs])
                for name in self._cameras
            },
            state=states,
            actions=chunks,
            actions_valid=valid,
            instructions=tuple(self._dataset.episodes[one].instruction for one, _ in pairs),
            episode=episodes,
            frame=frames,
            extras={
                name: np.concatenate([source.extra_rows(one, name, [two]) for one, two in pairs])
                for name in self._settings.extras
            },
        )

    def _vectors(
        self, pairs: Sequence[tuple[int, int]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        steps = np.arange(self._settings.chunk_steps)
        states, chunks, valid = [], [], []
        for episode, frame in pairs:
            state, actions = self._dataset.source.vectors(episode)
            states.append(state[frame])
            chunks.append(actions[np.minimum(frame + steps, len(actions) - 1)])
            valid.append(frame + steps < len(actions))
        return np.stack(states), np.stack(chunks), np.stack(valid)
