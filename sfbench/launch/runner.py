"""The background process of launcher=local: stage after stage, a few tasks at a time.

Started as `python -m sfbench.launch.runner FOLDER RUN`. Tasks are Submitit's local jobs,
the same callable under the same signals as on a cluster.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from submitit.local.local import LocalExecutor, LocalJob

from sfbench.launch.completion import Completion
from sfbench.launch.folder import SweepFolder, stage_of
from sfbench.launch.graph import Graph, Stage, TaskName
from sfbench.launch.sweep_file import AfterRule
from sfbench.launch.task import SweepTask

_POLL_S = 0.2
_NO_LIMIT_MIN = 60 * 24 * 365
_PATIENCE_S = 20.0


class Runner:
    """Runs what one submission put into `jobs.jsonl`."""

    def __init__(self, folder: SweepFolder, graph: Graph) -> None:
        self._folder = folder
        self._executor = LocalExecutor(folder.logs, max_num_timeout=0)
        self._executor.update_parameters(timeout_min=_NO_LIMIT_MIN)
        self._completion = Completion(folder, graph)
        self._running: dict[TaskName, LocalJob[int]] = {}
        self._servers: dict[TaskName, LocalJob[int]] = {}
        self.stopping = False

    def run(self, stages: Sequence[dict[str, Any]]) -> None:
        """Run stages in order, each after the one before."""
        for event in stages:
            stage = stage_of(event)
            tasks = [TaskName.parse(text) for text in event["tasks"]]
            failed = [before for before, rule in event["waits"]
                      if rule == AfterRule.OK and self._failed(before, stages)]  # fmt: skip
            if failed:
                print(f"stage {stage} is not run: stage {failed[0]} has failed tasks", flush=True)
                continue
            # A preparation is one task of many simulators; elsewhere tasks share the cores.
            workers = len(os.sched_getaffinity(0)) if stage is Stage.PREPARE else 1
            if stage is Stage.SERVE:
                self._servers = {task: self._start(task, workers) for task in tasks}
            else:
                self._run_stage(tasks, event["parallel"], workers)
        self._wait(self._servers)

    def end(self) -> None:
        """Ask every task to stop, and wait for it."""
        for job in (*self._running.values(), *self._servers.values()):
            job._process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]  # noqa: SLF001
        end_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end_s and (self._busy(self._running) or self._busy(self._servers)):
            time.sleep(_POLL_S)

    def _run_stage(self, tasks: Sequence[TaskName], parallel: int, workers: int) -> None:
        waiting = list(tasks)
        while (waiting or self._running) and not self.stopping:
            self._running = self._busy(self._running)
            while waiting and len(self._running) < parallel:
                task = waiting.pop(0)
                self._running[task] = self._start(task, workers)
            time.sleep(_POLL_S)

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

    def _failed(self, before: str, stages: Sequence[dict[str, Any]]) -> bool:
        left = set(self._completion.incomplete())
        return any(
            TaskName.parse(text) in left
            for event in stages
            if event["stage"] == before
            for text in event["tasks"]
        )


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
