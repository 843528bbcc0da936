"""What every dataset format provides, and what is known of an episode."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sfbench.demos.spec import DatasetSpec
from sfbench.demos.statistics import Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeInfo:
    """One demonstration of T frames; frame t is what was seen before action t.

    Attributes:
        index: its id in the dataset, counted from 0.
        task: name of the task; of a foreign dataset the instruction.
        instruction: the wording.
        length: T.
        content: hash of its frames, states, actions and instruction; None where none is stored.
        state_id: the suite's id of its initial state; None where unknown.
        state_hash: hash of the simulator's whole state at frame 0; None where unknown.
        split: which list of initial states it was drawn from; None where unknown.
        init_state: index in that list.
        seed: the collecting run's seed.
    """

    index: int
    task: str
    instruction: str
    length: int
    content: str | None = None
    state_id: str | None = None
    state_hash: str | None = None
    split: str | None = None
    init_state: int | None = None
    seed: int | None = None


class Source(Protocol):
    """A dataset as stored. Every method may raise DatasetError, which names the damaged file."""

    spec: DatasetSpec
    episodes: Sequence[EpisodeInfo]

    def vectors(self, episode: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """States [T, S] and actions [T, A] of an episode."""

    def frames(self, episode: int, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Some frames [n, H, W, 3] of an episode, in the order asked for."""

    def extra_rows(self, episode: int, name: str, indices: Sequence[int]) -> NDArray[Any]:
        """Some rows [n, ...] of an extra; see DemoBatch."""

    def statistics(self) -> Statistics | None:
        """The stored statistics, or None."""

    def subsets(self) -> dict[str, tuple[int, ...]]:
        """The stored subsets: episode ids by name; empty where none are stored."""

    def content_hash(self) -> str:
        """Hash of all that a trainer can read, 16 hex digits."""

    def close(self) -> None:
        """Close files; the next read opens them again."""
