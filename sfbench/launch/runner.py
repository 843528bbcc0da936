"""The background process of launcher=local: a few tasks at a time, each when what it uses is there.

Started as `python -m sfbench.launch.runner FOLDER RUN`. Tasks are Submitit's local jobs,
the same callable under the same signals as on a cluster.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any

from submitit.local.local import LocalExecutor, LocalJob

from sfbench.launch.completion import BY_FILES, Completion
from sfbench.launch.folder import SweepFolder, stage_of
from sfbench.launch.graph import Cell, Graph, Stage, TaskName
from sfbench.launch.ordering import depth_first, used_by
from sfbench.launch.sweep_file import AfterRule
from sfbench.launch.task import SweepTask

_POLL_S = 0.2
_NO_LIMIT_MIN = 60 * 24 * 365
_PATIENCE_S = 20.0


class Runner:
    """Runs what one submission put into `jobs.jsonl`."""

    def __init__(self, folder: SweepFolder, graph: Graph) -> None:
        self._folder = folder
        self._graph = graph
        self._executor = LocalExecutor(folder.logs, max_num_timeout=0)
        self._executor.update_parameters(timeout_min=_NO_LIMIT_MIN)
        self._completion = Completion(folder, graph)
        self._waiting: list[TaskName] = []
        self._running: dict[TaskName, LocalJob[int]] = {}
        self._servers: dict[TaskName, LocalJob[int]] = {}
        self.stopping = False

    def run(self, submitted: Sequence[dict[str, Any]]) -> None:
        """Run the tasks of `submitted` lines, and return when the last has ended."""
        tasks = [TaskName.parse(text) for event in submitted for text in event["tasks"]]
        parallel = {stage_of(event): event["parallel"] for event in submitted}
        may_fail = {
            (stage_of(event), before)
            for event in submitted
            for before, rule in event["waits"]
            if rule == AfterRule.ANY
        }
        self._waiting = depth_first(self._graph, tasks)
        while (self._waiting or self._running) and not self.stopping:
            self._running = self._busy(self._running)
            self._start_some(parallel, may_fail)
            time.sleep(_POLL_S)
        self._wait(self._servers)

    def end(self) -> None:
        """Ask every task to stop, and wait for it."""
        for job in (*self._running.values(), *self._servers.values()):
            job._process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]  # noqa: SLF001
        end_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end_s and (self._busy(self._running) or self._busy(self._servers)):
            time.sleep(_POLL_S)

    def _start_some(
        self, parallel: Mapping[Stage, int], may_fail: Collection[tuple[Stage, str]]
    ) -> None:
        """Start, in order, what is ready, as long as there is room."""
        for task in list(self._waiting):
            cell = self._graph.cells[task.cell]
            used = used_by(self._graph, cell)
            if self._going({item.id for item in used}):
                continue
            if not self._has_room(cell.stage, parallel):
                return
            self._waiting.remove(task)
            needed = [item for item in used if (cell.stage, item.stage) not in may_fail]
            if failed := [item.id for item in needed if not self._is_complete(item)]:
                print(f"{task} is not run: {failed[0]} has failed", flush=True)
            elif cell.stage is Stage.SERVE:
                self._servers[task] = self._start(task, workers=1)
            else:
                # A preparation is one task of many simulators; elsewhere tasks share the cores.
                cores = len(os.sched_getaffinity(0))
                workers = cores if cell.stage is Stage.PREPARE else 1
                self._running[task] = self._start(task, workers)

    def _going(self, cells: Collection[str]) -> bool:
        """Whether a task of these cells is still to come to its end; a server need only begin."""
        return any(task.cell in cells for task in (*self._waiting, *self._running))

    def _has_room(self, stage: Stage, parallel: Mapping[Stage, int]) -> bool:
        """Whether one more fits: a task of a stage takes its share of the machine."""
        if stage is Stage.SERVE:
            return True
        stages = [stage, *(self._graph.cells[task.cell].stage for task in self._running)]
        return sum(Fraction(1, parallel[item]) for item in stages) <= 1

    def _is_complete(self, cell: Cell) -> bool:
        if cell.stage is Stage.SERVE:
            return cell.tasks[0] in self._servers
        if cell.stage in BY_FILES:
            return self._completion.is_done(cell)
        return not self._completion.of_cell(cell).missing

    def _start(self, task: TaskName, workers: int) -> LocalJob[int]:
        job = self._executor.submit(SweepTask(str(self._folder.path), str(task), workers))
        assert isinstance(job, LocalJob)
        print(f"{task}: process {job.job_id}", flush=True)
        return job

    def _wait(self, jobs: dict[TaskName, LocalJob[int]]) -> None:
        while self._busy(jobs) and not self.stopping:
            time.sleep(_POLL_S)

    @staticmethod
    def _busy(jobs: dict[TaskName, LocalJob[int]]) -> dict[TaskName, LocalJob[int]]:
        return {task: job for task, job in jobs.items() if not job.done()}


def main(arguments: Sequence[str]) -> None:
    """Entry point of the process."""
    folder = SweepFolder(Path(arguments[0]))
    run = int(arguments[1])
    with (folder.path / "runner").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        # The tasks' processes must not hold the lock on.
        os.set_inheritable(lock.fileno(), False)
        runner = Runner(folder, folder.graph())

        def stop(number: int, frame: FrameType | None) -> None:
            runner.stopping = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        events = folder.events()
        runner.run([e for e in events if e["event"] == "submitted" and e.get("run") == run])
        if runner.stopping:
            runner.end()


if __name__ == "__main__":
    main(sys.argv[1:])
