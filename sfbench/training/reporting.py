"""What a run tells while it goes on: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Protocol

from rich.console import Console
from rich.progress import TaskID

from sfbench.rollout.progress import timed_bar

_LINE_EVERY_S = 30.0


class TrainReporter(Protocol):
    """Is told how a run goes."""

    def on_start(self, step: int, steps: int) -> None:
        """The run goes on after `step` of `steps` steps."""

    def on_step(self, step: int, loss: float) -> None:
        """A step is finished."""

    def on_event(self, text: str) -> None:
        """Something else happened."""

    def on_end(self) -> None:
        """The run ended, well or not."""


class Silent:
    """Tells nothing: for all processes but the first, and for tests."""

    def on_start(self, step: int, steps: int) -> None:
        """See TrainReporter."""

    def on_step(self, step: int, loss: float) -> None:
        """See TrainReporter."""

    def on_event(self, text: str) -> None:
        """See TrainReporter."""

    def on_end(self) -> None:
        """See TrainReporter."""


class TrainBar:
    """A rich bar on stderr, with the time left."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = timed_bar(self._console)
        self._task = TaskID(0)

    def on_start(self, step: int, steps: int) -> None:
        """See TrainReporter."""
        self._task = self._progress.add_task("training", total=steps, completed=step)
        self._progress.start()

    def on_step(self, step: int, loss: float) -> None:
        """See TrainReporter."""
        self._progress.update(self._task, completed=step, description=f"loss {loss:.4f}")

    def on_event(self, text: str) -> None:
        """See TrainReporter."""
        self._console.print(text, markup=False, highlight=False)

    def on_end(self) -> None:
        """See TrainReporter."""
        self._progress.stop()


class TrainLines:
    """Lines on stderr, for logs of batch jobs."""

    def __init__(self) -> None:
        self._first = self._steps = 0
        self._start_s = self._last_s = 0.0

    def on_start(self, step: int, steps: int) -> None:
        """See TrainReporter."""
        self._first, self._steps = step, steps
        self._start_s = self._last_s = time.monotonic()
        self.on_event(f"training: {steps} steps, {step} of them done before")

    def on_step(self, step: int, loss: float) -> None:
        """See TrainReporter."""
        now_s = time.monotonic()
        if now_s - self._last_s < _LINE_EVERY_S and step < self._steps:
            return
        self._last_s = now_s
        left_s = (now_s - self._start_s) / (step - self._first) * (self._steps - step)
        minutes, seconds = divmod(round(left_s), 60)
        self.on_event(f"step {step}/{self._steps}: loss {loss:.4f}, left {minutes}:{seconds:02d}")

    def on_event(self, text: str) -> None:
        """See TrainReporter."""
        print(text, file=sys.stderr, flush=True)

    def on_end(self) -> None:
        """See TrainReporter."""


def train_reporter() -> TrainReporter:
    """A bar on a terminal, lines elsewhere."""
    return TrainBar() if sys.stderr.isatty() else TrainLines()
