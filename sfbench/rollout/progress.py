"""Progress on the terminal: a bar where there is one, else a line now and then."""

import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sfbench.contracts import EpisodeRow, Status
from sfbench.rollout.engine import RunSubscriber

_LINE_EVERY_S = 30.0


class _Counts:
    """Successes and episodes that were measured, and the rest."""

    def __init__(self) -> None:
        self.done = self.successes = self.measured = self.problems = 0

    def add(self, row: EpisodeRow) -> None:
        self.done += 1
        self.successes += row.status is Status.SUCCESS
        self.measured += row.status in (Status.SUCCESS, Status.FAILURE)
        self.problems += row.status in (Status.ERROR, Status.INVALID)

    def __str__(self) -> str:
        text = f"{self.successes}/{self.measured} solved"
        return f"{text}, {self.problems} not measured" if self.problems else text


def timed_bar(console: Console) -> Progress:
    """A bar with a description, a count, the time spent and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )


class ProgressBar:
    """A rich progress bar on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = timed_bar(self._console)
        self._task = TaskID(0)
        self._counts = _Counts()

    def on_start(self, planned: int, done: Sequence[EpisodeRow]) -> None:
        """See RunSubscriber."""
        for row in done:
            self._counts.add(row)
        self._task = self._progress.add_task(str(self._counts), total=planned, completed=len(done))
        self._progress.start()

    def on_row(self, row: EpisodeRow) -> None:
        """See RunSubscriber."""
        self._counts.add(row)
        self._progress.update(self._task, advance=1, description=str(self._counts))

    def on_event(self, text: str) -> None:
        """See RunSubscriber."""
        self._console.print(text, markup=False, highlight=False, style="yellow")

    def on_end(self) -> None:
        """See RunSubscriber."""
        self._progress.stop()


class ProgressLines:
    """Lines on stderr, for logs of batch jobs."""

    def __init__(self) -> None:
        self._counts = _Counts()
        self._planned = 0
        self._last_s = 0.0

    def on_start(self, planned: int, done: Sequence[EpisodeRow]) -> None:
        """See RunSubscriber."""
        self._planned = planned
        for row in done:
            self._counts.add(row)
        self._print(f"{planned} episodes, {len(done)} of them done before")
        self._last_s = time.monotonic()

    def on_row(self, row: EpisodeRow) -> None:
        """See RunSubscriber."""
        self._counts.add(row)
        if time.monotonic() - self._last_s >= _LINE_EVERY_S:
            self._last_s = time.monotonic()
            self._print(f"{self._counts.done}/{self._planned} episodes: {self._counts}")

    def on_event(self, text: str) -> None:
        """See RunSubscriber."""
        self._print(text)

    def on_end(self) -> None:
        """See RunSubscriber."""
        self._print(f"{self._counts.done}/{self._planned} episodes: {self._counts}")

    @staticmethod
    def _print(text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def progress_subscriber() -> RunSubscriber:
    """A bar on a terminal, lines elsewhere."""
    return ProgressBar() if sys.stderr.isatty() else ProgressLines()
