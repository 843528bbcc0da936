"""A policy server that simulation tasks share: started, announced in a file, watched, restarted."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from sfbench.errors import StoppedError, UsageError
from sfbench.launch.commands import own_arguments
from sfbench.launch.completion import Completion
from sfbench.launch.folder import TOKEN_VARIABLE, SweepFolder
from sfbench.launch.graph import Cell, Graph, Stage
from sfbench.launch.grid import as_argument
from sfbench.launch.rendezvous import node_address

_POLL_S = 1.0
_HEALTH_EVERY_S = 10.0
_HEALTH_FAILURES = 3
_MAX_FAILED_STARTS = 3
_STOP_S = 10.0
_READY = re.compile(rb" at wss?://\S+:(\d+)")
_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""


def serve(folder: SweepFolder, graph: Graph, cell: Cell) -> int:
    """Keep a policy server up until its evaluations are complete, or nobody has used it for long.

    Raises:
        UsageError: it refuses to start, with its own words.
        StoppedError: it does not come up, or this task was asked to end.
    """
    watch = Watch(folder, graph, cell)
    failed_starts = 0
    while True:
        server = _Server(folder, graph, cell)
        try:
            port = server.wait_until_ready()
            if port is None:
                failed_starts += 1
                if failed_starts >= _MAX_FAILED_STARTS:
                    raise StoppedError(
                        f"the policy server ended {failed_starts} times before it was ready; "
                        f"see {server.log}"
                    )
                continue
            failed_starts = 0
            folder.write_server(
                cell.id, {"host": _own_host(), "port": port, "since_s": time.time()}
            )
            if watch.until_done_or_dead(server, port):
                return 0
            print(f"the policy server ended; starting it again. See {server.log}", file=sys.stderr)
        finally:
            folder.remove_server(cell.id)
            server.stop()


class _Server:
    """One process of `sfbench serve`."""

    def __init__(self, folder: SweepFolder, graph: Graph, cell: Cell) -> None:
        folder.logs.mkdir(exist_ok=True)
        self.log = folder.logs / f"{cell.id}.log"
        # Other nodes can connect, so a token is asked for; alone on this machine they cannot.
        host = "0.0.0.0" if "SLURM_JOB_ID" in os.environ else "127.0.0.1"  # noqa: S104
        keys = {"host": host, "port": 0, "token_env": TOKEN_VARIABLE}
        own = own_arguments(folder, graph, cell)
        more = [as_argument(*item) for item in keys.items()]
        with self.log.open("ab") as log:
            self._start = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sfbench", "serve", *own, *more],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, TOKEN_VARIABLE: folder.token()},
                preexec_fn=_end_with_parent,  # noqa: PLW1509 (no threads here)
            )  # fmt: skip

    def wait_until_ready(self) -> int | None:
        """The port; None if it ended before. Raises UsageError: it refused what it was asked."""
        while True:
            with self.log.open("rb") as log:
                log.seek(self._start)
                text = log.read()
            found = _READY.search(text)
            if found:
                return int(found.group(1))
            status = self.process.poll()
            if status == UsageError.exit_status:
                said = text.decode(errors="replace").strip().splitlines() or ["no reason given"]
                raise UsageError(f"the policy server refused: {said[-1]}")
            if status is not None:
                return None
            time.sleep(0.2)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=_STOP_S)
        self.process.kill()
        self.process.wait()


class Watch:
    """Tells when a server is dead, and when nobody needs it any more.

    Attributes:
        used_s: when a client was last seen, by the monotonic clock.
    """

    def __init__(self, folder: SweepFolder, graph: Graph, cell: Cell) -> None:
        self._folder = folder
        self._completion = Completion(folder, graph)
        self._idle_s = 60 * graph.server_idle_min
        self._clients = [item for item in graph.of_stage(Stage.EVAL) if item.needs == cell.id]
        self.used_s = time.monotonic()

    def until_done_or_dead(self, server: _Server, port: int) -> bool:
        """True: it may end for good. False: it is dead, or has not answered for a while."""
        failures, next_look_s = 0, time.monotonic()
        while server.process.poll() is None:
            time.sleep(_POLL_S)
            if time.monotonic() < next_look_s:
                continue
            next_look_s = time.monotonic() + _HEALTH_EVERY_S
            failures = 0 if is_healthy("127.0.0.1", port) else failures + 1
            if failures >= _HEALTH_FAILURES:
                return False
            if self.is_over():
                return True
        return False

    def is_over(self) -> bool:
        """Whether its evaluations are complete, or nobody has used it for long."""
        missing = [
            (task, cell.shards)
            for cell in self._clients
            for task in self._completion.of_cell(cell).missing
        ]
        if not missing:
            return True
        # What a task says of itself will not do: one that was killed says nothing any more.
        if any(self._folder.is_played(*task) for task in missing):
            self.used_s = time.monotonic()
        return time.monotonic() - self.used_s > self._idle_s


def is_healthy(host: str, port: int) -> bool:
    """Whether a policy server answers there."""
    # No urllib: it would ask the proxy that clusters set for the world outside.
    connection = HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _own_host() -> str:
    """The name by which clients reach this machine."""
    node = os.environ.get("SLURMD_NODENAME")
    return "127.0.0.1" if node is None else node_address(node)


def _end_with_parent() -> None:
    """In the new process: end as soon as the task that watches it is gone, however it ended."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
