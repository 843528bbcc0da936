"""The episodes that wait for a worker, kept by task so that compiled scenes are reused."""

from collections import deque
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sfbench.contracts import EpisodeSpec


@dataclass(frozen=True, slots=True)
class Pending:
    """An episode to run.

    Attributes:
        episode: which.
        attempt: counted from 1; 0 marks an episode whose result no longer matters.
        alone: its batch failed, so it is tried again in batches of one.
    """

    episode: EpisodeSpec
    attempt: int
    alone: bool


class PendingEpisodes:
    """A queue per task, in plan order."""

    def __init__(self, episodes: Iterable[EpisodeSpec]) -> None:
        self._queues: dict[str, deque[Pending]] = {}
        self._count = 0
        for episode in episodes:
            queue = self._queues.setdefault(episode.task, deque())
            queue.append(Pending(episode, 1, alone=False))
            self._count += 1

    def __len__(self) -> int:
        return self._count

    def put_back(self, item: Pending) -> None:
        """Make an episode the next of its task."""
        self._queues.setdefault(item.episode.task, deque()).appendleft(item)
        self._count += 1

    def take(self, last_task: str | None, tasks_of_others: AbstractSet[str]) -> Pending:
        """The next episode for a worker.

        Its last task first, since it has that scene; then a task that no other worker is on; then
        the task with most left.

        Raises:
            IndexError: nothing is pending.
        """
        if not self._count:
            raise IndexError("nothing is pending")
        free = (task for task in self._queues if task not in tasks_of_others)
        if last_task in self._queues:
            task = last_task
        else:
            task = next(free, None) or max(self._queues, key=lambda name: len(self._queues[name]))
        queue = self._queues[task]
        item = queue.popleft()
        if not queue:
            del self._queues[task]
        self._count -= 1
        return item
