"""Nested, seeded subsets of a dataset, balanced over tasks.

All subsets are prefixes of one order, so a smaller one lies within every larger one, and every arm
of a comparison that asks for the same share trains on the same episodes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sfbench.contracts import stable_hash
from sfbench.demos.source import EpisodeInfo
from sfbench.errors import DatasetError
from sfbench.rollout.seeds import derive_seed

SHARES_PCT = (1, 2, 5, 10, 20, 50, 100)
"""The subsets that a dataset folder lists, in percent of its episodes."""

SEED = 0
"""Of the order in which episodes enter subsets."""


@dataclass(frozen=True, slots=True)
class Subset:
    """Some episodes of a dataset.

    Attributes:
        name: `10%`, `37` (that many episodes) or `all`.
        episodes: their ids, ascending.
        hash: of what these episodes hold, 16 hex digits.
    """

    name: str
    episodes: tuple[int, ...]
    hash: str


def nested_order(episodes: Sequence[EpisodeInfo], seed: int = SEED) -> tuple[int, ...]:
    """Every episode id in the order of entering: first one of each task, then in proportion."""
    by_task: dict[str, list[int]] = {}
    for episode in sorted(episodes, key=lambda item: derive_seed("subset", seed, item.index)):
        by_task.setdefault(episode.task, []).append(episode.index)
    entries = [
        (rank / len(members), derive_seed("task", seed, task), index)
        for task, members in by_task.items()
        for rank, index in enumerate(members)
    ]
    return tuple(index for _, _, index in sorted(entries))


def stored_subsets(episodes: Sequence[EpisodeInfo]) -> dict[str, tuple[int, ...]]:
    """The subsets that a dataset folder lists: ids, ascending, by name."""
    return {f"{pct}%": choose(episodes, f"{pct}%") for pct in SHARES_PCT}


def choose(episodes: Sequence[EpisodeInfo], wanted: str) -> tuple[int, ...]:
    """Ids, ascending, of a subset by its name.

    Args:
        episodes: the whole set.
        wanted: `10%`, a number of episodes such as `37`, or `all`.

    Raises:
        DatasetError: no such share or number; more than there are; fewer episodes than tasks.
    """
    tasks = len({episode.task for episode in episodes})
    count = _count(wanted, len(episodes), tasks)
    if count > len(episodes):
        raise DatasetError(
            f"subset={wanted}: the dataset has only {len(episodes)} episodes; allowed {tasks} to "
            f"{len(episodes)}, 1% to 100%, or all"
        )
    if count < tasks:
        raise DatasetError(
            f"subset={wanted}: the dataset has {tasks} tasks, and a subset has at least one "
            f"episode of each; allowed {tasks} to {len(episodes)}"
        )
    return tuple(sorted(nested_order(episodes)[:count]))


def subset_hash(
    episodes: Sequence[EpisodeInfo], chosen: Sequence[int], whole: Callable[[], str]
) -> str:
    """Hash of what the chosen episodes hold.

    Args:
        episodes: the whole set.
        chosen: ids.
        whole: hash of the dataset, which stands in where no episode's content hash is stored.
    """
    by_index = {episode.index: episode for episode in episodes}
    return stable_hash([by_index[index].content or f"{whole()}/{index}" for index in chosen])


def subset_name(wanted: str | float) -> str:
    """The name of a subset given as a name, a share (0.1), or a number of episodes (37)."""
    if isinstance(wanted, str):
        return wanted.strip().replace(" ", "")
    if isinstance(wanted, int) or wanted > 1:
        return f"{wanted:g}"
    return f"{100 * wanted:g}%"


def _count(wanted: str, available: int, tasks: int) -> int:
    if wanted == "all":
        return available
    number = wanted.removesuffix("%")
    try:
        value = float(number) if wanted.endswith("%") else int(number)
    except ValueError:
        value = -1
    if not math.isfinite(value) or value <= 0:
        raise DatasetError(
            f"subset={wanted}: write a share such as 10%, a number of episodes such as 37, or all"
        )
    if not wanted.endswith("%"):
        return int(value)
    # Rounded first: 0.1 * 30 is a little above 3.
    return max(tasks, math.ceil(round(available * value / 100, 9)))
