"""An evaluation whose policy is a server on another node, found through a file."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from sfbench.errors import SfbenchError, StoppedError
from sfbench.launch.commands import eval_arguments, server_keys
from sfbench.launch.folder import TOKEN_VARIABLE, SweepFolder
from sfbench.launch.graph import Cell, Graph, TaskName
from sfbench.launch.serving import is_healthy

_POLL_S = 0.5
_SERVER_START_S = 3600.0
"""How long a server may load its policy, or wait for a node after it was queued again."""
_MAX_SERVERS = 20
"""Servers that a task sees die before it gives up."""


def evaluate_with_server(
    folder: SweepFolder,
    graph: Graph,
    task: TaskName,
    more: Mapping[str, Any],
    stop_asked: Callable[[], bool],
) -> int:
    """Run `sfbench eval` against the sweep's policy server; again when that comes back elsewhere.

    Raises:
        SfbenchError: as `sfbench eval`.
        StoppedError: there is no server, or too many of them died.
    """
    from sfbench.cli.eval import command

    os.environ[TOKEN_VARIABLE] = folder.token()
    needs = graph.cells[task.cell].needs
    assert needs is not None
    server_cell = graph.cells[needs]
    for _ in range(_MAX_SERVERS):
        server = _await_server(folder, server_cell)
        keys = {**more, **server_keys(server)}
        try:
            return command(eval_arguments(folder, graph, task, keys))
        except SfbenchError as error:
            gone = folder.read_server(needs) != server or not _answers(server)
            if stop_asked() or not gone:
                raise
            print(f"lost the policy server ({error}); waiting for it", file=sys.stderr)
    raise StoppedError(f"{_MAX_SERVERS} policy servers died; see {folder.logs / needs}.log")


def _await_server(folder: SweepFolder, cell: Cell) -> Mapping[str, Any]:
    """Where the server is, once it answers. Raises StoppedError."""
    end_s = time.monotonic() + _SERVER_START_S
    while True:
        server = folder.read_server(cell.id)
        if server and _answers(server):
            return server
        said = folder.read_task(cell.tasks[0])
        if said.get("state") == "failed" and not server:
            raise StoppedError(f"the policy server {cell.id} failed: {said.get('text')}")
        if time.monotonic() > end_s:
            raise StoppedError(
                f"no policy server {cell.id} for {_SERVER_START_S:g} s; "
                f"`sfbench sweep resubmit {folder.path}` starts it again"
            )
        time.sleep(_POLL_S)


def _answers(server: Mapping[str, Any]) -> bool:
    return is_healthy(str(server["host"]), int(server["port"]))
