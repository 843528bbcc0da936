"""launcher=local: a process in the background that runs a few tasks at a time.

It outlives the terminal. Who runs, and whether, is told by a lock that the process holds.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from sfbench.errors import StoppedError
from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Graph, Stage, TaskName
from sfbench.launch.launchers import Settings, StagePlan

_PATIENCE_S = 30.0
_STATES = {"running": "RUNNING", "queued again": "PENDING"}


class LocalLauncher:
    """See Launcher."""

    def __init__(self, folder: SweepFolder, graph: Graph, settings: Settings) -> None:
        self._folder = folder
        self._graph = graph
        self._settings = settings

    def launch(self, plans: Sequence[StagePlan]) -> None:
        """See Launcher. Raises StoppedError if the background process does not come up."""
        if runner_process(self._folder) is not None:
            raise StoppedError("the background process of this sweep still runs; `cancel` ends it")
        since_s = time.time()
        run = sum(event["event"] == "runner" for event in self._folder.events())
        for plan in plans:
            self._folder.add_event(
                "submitted",
                launcher="local",
                stage=plan.stage,
                job=f"local{run}-{plan.stage}",
                waits=plan.waits,
                parallel=self._parallel_tasks(plan.stage),
                run=run,
                tasks=[str(task) for task in plan.tasks],
            )
        self._folder.logs.mkdir(exist_ok=True)
        with (self._folder.logs / f"runner-{run}.log").open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "sfbench.launch.runner", str(self._folder.path), str(run)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                cwd=self._graph.cwd,
            )  # fmt: skip
        self._folder.add_event("runner", run=run, process=started.pid, since_s=since_s)
        end_s = time.monotonic() + _PATIENCE_S
        while runner_process(self._folder) is None and started.poll() is None:
            if time.monotonic() > end_s:
                raise StoppedError(f"no sign of the background process; see {self._folder.logs}")
            time.sleep(0.05)

    def active(self) -> dict[TaskName, str]:
        """See Launcher."""
        if runner_process(self._folder) is None:
            return {}
        events = self._folder.events()
        last = [event for event in events if event["event"] == "runner"][-1]
        found: dict[TaskName, str] = {}
        for event in events:
            if event["event"] == "submitted" and event.get("run") == last["run"]:
                for text in event["tasks"]:
                    said = self._folder.read_task(TaskName.parse(text))
                    begun = said.get("started_s", 0.0) >= last["since_s"]
                    state = said["state"] if begun else "queued again"
                    if state in _STATES:
                        found[TaskName.parse(text)] = _STATES[state]
        return found

    def ended(self) -> dict[TaskName, str]:
        """See Launcher."""
        return {}

    def cancel(self) -> int:
        """See Launcher."""
        process = runner_process(self._folder)
        if process is None:
            return 0
        count = len(self.active())
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
        end_s = time.monotonic() + _PATIENCE_S
        while runner_process(self._folder) is not None:
            if time.monotonic() > end_s:
                raise StoppedError(f"process {process} does not end; type `kill -9 {process}`")
            time.sleep(0.1)
        return count

    def _parallel_tasks(self, stage: Stage) -> int:
        """Tasks at a time: as many as the cores allow, counting a core for each simulator."""
        asked = self._settings.stage_parallel.get(stage, self._settings.parallel)
        if asked is not None:
            return asked
        workers = [cell.keys.get("workers", 1) for cell in self._graph.of_stage(Stage.EVAL)]
        return max(1, len(os.sched_getaffinity(0)) // max(1, *map(int, workers)))


def runner_process(folder: SweepFolder) -> int | None:
    """The process that holds the runner's lock, or None."""
    path = folder.path / "runner"
    if not path.exists():
        return None
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = file.read().strip()
            return int(text) if text.isdecimal() else 0
    return None
