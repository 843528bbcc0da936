"""A dataset, whatever its format."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from sfbench.demos.formats import open_source
from sfbench.demos.source import EpisodeInfo, Source
from sfbench.demos.spec import DatasetSpec
from sfbench.demos.statistics import Statistics, statistics_of_tables
from sfbench.demos.subsets import Subset, choose, subset_hash, subset_name
from sfbench.errors import DatasetError


def open_dataset(path: Path | str) -> "Dataset":
    """Open a dataset: a LeRobot folder (v3.0 or v2.1), or what an installed suite can read.

    Raises:
        DatasetError: not a dataset, or its metadata is damaged; names the file.
    """
    return Dataset(open_source(Path(path)), str(path))


class Dataset:
    """Episodes with one spec.

    Attributes:
        source: the format's reader.
        spec: cameras, state and action layouts, rate, extras.
        episodes: by id, from 0.
        name: where it was opened, for messages.
    """

    def __init__(self, source: Source, name: str) -> None:
        self.source = source
        self.spec: DatasetSpec = source.spec
        self.episodes: Sequence[EpisodeInfo] = source.episodes
        self.name = name

    @cached_property
    def hash(self) -> str:
        """Hash of all that a trainer can read, 16 hex digits."""
        return self.source.content_hash()

    @property
    def frames(self) -> int:
        """Frames of all episodes."""
        return sum(episode.length for episode in self.episodes)

    @cached_property
    def statistics(self) -> Statistics:
        """The stored statistics, over all episodes.

        Raises:
            DatasetError: none are stored.
        """
        found = self.source.statistics()
        if found is None:
            raise DatasetError(
                f"{self.name} has no statistics of 'observation.state' and 'action' with mean, "
                "std, min, max, q01 and q99 (meta/stats.json); actions cannot be scaled without. "
                f"Add them: python -m sfbench.demos.mend {self.name}"
            )
        return found

    def statistics_of(self, episodes: Sequence[int]) -> Statistics:
        """Statistics over some episodes only, from their states and actions."""
        self.check_episodes(episodes)
        tables = [self.source.vectors(index) for index in episodes]
        return statistics_of_tables([one for one, _ in tables], [two for _, two in tables])

    def subset(self, wanted: str | float) -> Subset:
        """A nested subset: a share (`10%` or 0.1), a number of episodes (`37` or 37), or `all`.

        Raises:
            DatasetError: more than there is, or not a subset's name.
        """
        name = subset_name(wanted)
        chosen = self.source.subsets().get(name) or choose(self.episodes, name)
        return Subset(name, chosen, subset_hash(self.episodes, chosen, lambda: self.hash))

    def state_ids(self, episodes: Iterable[int] | None = None) -> frozenset[str]:
        """Suite ids of the initial states of some episodes, by default all.

        A trainer stores them in the checkpoint as `PolicySpec.trained_states`; evaluating on one of
        them then marks the row `leak`.
        """
        chosen = range(len(self.episodes)) if episodes is None else episodes
        found = (self.episodes[index].state_id for index in chosen)
        return frozenset(state for state in found if state is not None)

    def check_episodes(self, episodes: Sequence[int]) -> None:
        """Raises DatasetError for no episodes, an unknown one, or one named twice."""
        last = len(self.episodes) - 1
        if not episodes:
            raise DatasetError(f"no episodes chosen of {self.name}; it has 0 to {last}")
        for index in episodes:
            if not 0 <= index <= last:
                raise DatasetError(f"{self.name} has no episode {index}; allowed 0 to {last}")
        if len(set(episodes)) != len(episodes):
            raise DatasetError(f"{self.name}: an episode is chosen twice")

    def close(self) -> None:
        """Close files; the next read opens them again."""
        self.source.close()
