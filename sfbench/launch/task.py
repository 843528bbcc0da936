"""The one callable that every launcher runs: a task of a sweep, in this process.

It speaks Submitit's checkpoint protocol: asked to end, it stops between two events, is queued again
as it is, and plays what its journal lacks.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submitit.core.utils import DelayedSubmission

from sfbench.errors import SfbenchError
from sfbench.launch import stages
from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import TaskName
from sfbench.launch.signals import watched_signals

_STOPPED = 3
"""Exit status of a command that was stopped part-way."""


class TaskFailedError(SfbenchError):
    """A task cannot be completed as things are; Slurm is to call it failed."""


@dataclass(frozen=True)
class SweepTask:
    """A task as it is handed to Submitit.

    Attributes:
        folder: the sweep folder.
        task: cell and shard, as text.
        workers: simulator processes, where the cell does not say.
    """

    folder: str
    task: str
    workers: int

    def __call__(self) -> int:
        """Do what is left of the task.

        Returns:
            The exit status of its command: 0, or 1 where some episodes ended in error or invalid.

        Raises:
            TaskFailedError: nothing can be done, or it was stopped and not queued again.
        """
        folder, name = SweepFolder(Path(self.folder)), TaskName.parse(self.task)
        queue_again = _submitit_handler()
        said = _first_words(folder, name)
        with watched_signals() as received:
            status, text = self._run(folder, name, said, received)
            signals = received()
        again = status == _STOPPED and bool(signals) and _may_queue_again(signals)
        state = "queued again" if again and queue_again else _STATES.get(status, "failed")
        names = ", ".join(sorted(number.name for number in signals))
        _tell(folder, name, said, state=state, ended_s=time.time(), text=text, signals=names)
        if again and queue_again is not None:
            queue_again()  # Submitit ends the process here; only one of several tasks of a job.
            return status
        if status not in (0, 1):
            raise TaskFailedError(text or f"{self.task} ended with status {status}")
        return status

    def checkpoint(self) -> DelayedSubmission:
        """Submitit asks what to queue again: the same, since journals know what is done."""
        return DelayedSubmission(self)

    def _run(
        self,
        folder: SweepFolder,
        name: TaskName,
        said: Mapping[str, Any],
        received: Callable[[], set[signal.Signals]],
    ) -> tuple[int, str]:
        try:
            graph = folder.graph()
            os.chdir(graph.cwd)
            _tell(folder, name, said)
            return stages.run(folder, graph, name, self.workers, lambda: bool(received())), ""
        except SfbenchError as error:
            print(f"sfbench: {error}", file=sys.stderr, flush=True)
            return error.exit_status, str(error)
        except KeyboardInterrupt:
            return _STOPPED, "interrupted"
        except Exception as error:
            if received():  # Whatever a signal broke, such as an import, is no fault of the task.
                return _STOPPED, repr(error)
            _tell(folder, name, said, state="failed", ended_s=time.time(), text=repr(error))
            raise


def _tell(folder: SweepFolder, name: TaskName, said: Mapping[str, Any], **more: object) -> None:
    if os.environ.get("SLURM_PROCID", "0") == "0":
        folder.write_task(name, {**said, **more})


_STATES = {0: "done", 1: "done", _STOPPED: "stopped"}


def _first_words(folder: SweepFolder, name: TaskName) -> dict[str, Any]:
    graph = folder.graph()
    journal = folder.journal(name, graph.cells[name.cell].shards)
    rows = journal.read_bytes().count(b"\n") if journal.exists() else 0
    return {
        "state": "running",
        "host": socket.gethostname(),
        "process": os.getpid(),
        "job": job_id(),
        "started_s": time.time(),
        "rows_before": rows,
    }


def job_id() -> str | None:
    """The id of the job that this process belongs to, in the form that squeue shows."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array else os.environ.get("SLURM_JOB_ID")


def _submitit_handler() -> Callable[[], object] | None:
    """What Submitit does when its signal comes: save `checkpoint()`, queue the job again, exit.

    It is called once the command has stopped, not in the middle of it. None outside Submitit.
    """
    for number in (signal.SIGUSR2, signal.SIGUSR1):
        handler = signal.getsignal(number)
        if callable(handler):
            return lambda handler=handler, number=number: handler(number, None)  # type: ignore[misc]
    return None


def _may_queue_again(signals: set[signal.Signals]) -> bool:
    """Whether the job is to go on later.

    SIGUSR1 and SIGUSR2 announce a time limit or a preemption. SIGTERM comes with a preemption too,
    but also when the user cancels the job or Slurm has queued it again by itself: then its state is
    no longer RUNNING, and it must not be brought back.
    """
    if signals - {signal.SIGTERM}:
        return True
    job = job_id()
    if job is None:
        return False
    try:
        done = subprocess.run(
            ["squeue", "-h", "-j", job, "-o", "%T"],
            capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.strip() == "RUNNING"
