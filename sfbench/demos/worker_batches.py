"""Batches made by worker processes, seen from the main process."""

import os
import subprocess
import sys
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

from sfbench.demos.batch import DemoBatch
from sfbench.demos.dataset import Dataset
from sfbench.demos.reading import LoaderSettings
from sfbench.demos.worker_messages import Assignment, Failed
from sfbench.errors import DatasetError, SystemFaultError

_SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


class WorkerBatches:
    """N processes; worker i makes batches start + i, start + i + N, ... and holds one ready.

    They are started as fresh interpreters, not forked, so that the main process may use CUDA and
    threads, and its script is not imported again.
    """

    def __init__(self, dataset: Dataset, settings: LoaderSettings, start: int) -> None:
        self._start = start
        self._workers = [
            _Worker(Assignment(dataset, settings, start + number, settings.workers))
            for number in range(settings.workers)
        ]

    def take(self, position: int) -> DemoBatch:
        """The batch of that position; to be called for every position from the start on.

        Raises:
            DatasetError: a damaged file.
            SystemFaultError: the worker was killed.
        """
        return self._workers[(position - self._start) % len(self._workers)].receive()

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.close()
        self._workers = []


class _Worker:
    def __init__(self, assignment: Assignment) -> None:
        ours, theirs = connection.Pipe()
        self._pipe: Connection[Any, Any] = ours
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sfbench.demos.worker", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            env={**os.environ, **_SINGLE_THREADED},
        )
        theirs.close()
        with suppress(BrokenPipeError):
            self._pipe.send(assignment)

    def receive(self) -> DemoBatch:
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            code = self._process.wait()
            raise SystemFaultError(f"a loader worker ended with status {code}") from error
        if isinstance(answer, Failed):
            raise DatasetError(answer.error)
        batch: DemoBatch = answer
        return batch

    def close(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.wait()
