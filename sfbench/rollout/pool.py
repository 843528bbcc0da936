"""Worker processes seen from the main process: start, talk, watch, kill, replace."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import IO, Any

from sfbench.contracts import EpisodeSpec, Observation
from sfbench.rollout.messages import Operation, Ready, StopWorker
from sfbench.rollout.shared import SlotMemory, create_block
from sfbench.rollout.worker import WorkerSetup

_SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
"""One worker per core: threads inside one would only get in each other's way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a worker may take for one thing, in s, before it is killed."""

    start_s: float = 300.0
    """Building the suite, or compiling a scene."""
    reset_s: float = 60.0
    step_s: float = 30.0
    render_s: float = 60.0
    policy_s: float = 300.0
    """One call of a policy that runs in the worker."""
    finish_s: float = 60.0
    """Closing a video."""

    def limit_of(self, operation: Operation) -> float | None:
        """The limit for an operation; None where the worker rightly waits for us."""
        return {
            Operation.START: self.start_s,
            Operation.RESET: self.reset_s,
            Operation.STEP: self.step_s,
            Operation.RENDER: self.render_s,
            Operation.POLICY: self.policy_s,
            Operation.FINISH: self.finish_s,
        }.get(operation)


@dataclass(frozen=True, slots=True)
class Died:
    """A worker is gone: killed, crashed, or ended by its deadline."""

    reason: str
    log: str
    """The end of what it wrote to stderr."""


class WorkerHandle:
    """One slot's process."""

    def __init__(self, slot: int, setup: WorkerSetup) -> None:
        self.slot = slot
        self.ready = False
        self.episode: EpisodeSpec | None = None
        """What it is running now."""
        self.attempt = 0
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (lives with the process)
        ours, theirs = connection.Pipe()
        self.pipe: Connection[Any, Any] = ours
        block = create_block(setup.layout)
        lifeline_read, self._lifeline = os.pipe()
        inherited = (theirs.fileno(), block, lifeline_read)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sfbench.rollout.worker", *map(str, inherited)],
            pass_fds=inherited,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **_SINGLE_THREADED},
            # Ctrl-C is the main process's to handle; and a kill reaches ffmpeg as well.
            start_new_session=True,
        )
        self._memory = SlotMemory(block, setup.layout)
        self._memory.begin(Operation.START)
        theirs.close()
        os.close(block)
        os.close(lifeline_read)
        self.send(setup)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, message: object) -> None:
        """Send; a worker that is gone already is noticed when it is polled."""
        with suppress(OSError):
            self.pipe.send(message)

    def observation(self) -> Observation:
        """What the worker put in shared memory, as a view."""
        return self._memory.observation()

    def overdue(self, deadlines: Deadlines) -> str | None:
        """What takes too long, or None."""
        operation, spent_s = self._memory.doing()
        limit_s = deadlines.limit_of(operation)
        if limit_s is None or spent_s <= limit_s:
            return None
        return f"{operation.name.lower()} took more than {limit_s:g} s"

    def receive(self) -> object:
        """The next message, or Died. Call when the pipe is readable."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            return self.reap(None)
        if isinstance(message, Ready):
            self.ready = True
        return message

    def reap(self, reason: str | None) -> Died:
        """Make sure that the process is gone; say how it ended."""
        if reason is not None:
            self._signal(signal.SIGKILL)
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            # It closed its pipe but lives on.
            self._signal(signal.SIGKILL)
            code = self._process.wait()
        log = self._log_tail()
        self._release()
        return Died(reason or _ending(code), log)

    def stop(self, patience_s: float) -> None:
        """End it: politely first, if patience is above 0."""
        if patience_s > 0:
            self.send(StopWorker())
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=patience_s)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._release()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _log_tail(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 4000))
        return self._log.read().decode(errors="replace").strip()

    def _release(self) -> None:
        if self.pipe.closed:
            return  # Reaped already; its descriptors may belong to something else by now.
        self.pipe.close()
        os.close(self._lifeline)
        self._log.close()


class WorkerPool:
    """A fixed number of slots, each with a process that is replaced when it dies."""

    def __init__(self, setup: WorkerSetup, size: int) -> None:
        self._setup = setup
        self.workers = {slot: WorkerHandle(slot, setup) for slot in range(size)}

    def poll(self, timeout_s: float) -> list[tuple[WorkerHandle, object]]:
        """Messages that arrived within the time, each with its worker; a death is a Died."""
        by_pipe = {worker.pipe: worker for worker in self.workers.values()}
        readable = connection.wait(list(by_pipe), timeout=max(0.0, timeout_s))
        return [(by_pipe[pipe], by_pipe[pipe].receive()) for pipe in readable]  # type: ignore[index]

    def overdue(self, deadlines: Deadlines) -> list[tuple[WorkerHandle, Died]]:
        """Kill every worker that takes too long for one thing."""
        found = []
        for worker in self.workers.values():
            reason = worker.overdue(deadlines)
            if reason is not None:
                found.append((worker, worker.reap(reason)))
        return found

    def replace(self, worker: WorkerHandle) -> None:
        """Start a new process in the slot of a dead one."""
        self.workers[worker.slot] = WorkerHandle(worker.slot, self._setup)

    def close(self, patience_s: float = 5.0) -> None:
        """End all workers, within about `patience_s`."""
        end_s = time.monotonic() + patience_s
        for worker in self.workers.values():
            if patience_s > 0:
                worker.send(StopWorker())
        for worker in self.workers.values():
            worker.stop(max(0.0, end_s - time.monotonic()))
        self.workers = {}


def _ending(code: int) -> str:
    if code < 0:
        return f"the worker was killed by {signal.Signals(-code).name}"
    return f"the worker exited with status {code}"
