"""The sweep folder: all that is known of a sweep, on files alone.

sweep.yaml      what was asked for, resolved
graph.json      cells and what they run; never changed after the first submission
jobs.jsonl      every submission and cancellation, one line each, appended
lock            held by whoever submits or cancels; names the holder
cells/<id>/     run folders
tasks/<id>.<shard>.json  what a task last said of itself
tasks/<id>.lock          held by the process that prepares or probes
servers/<id>.json        where a policy server can be reached
token           secret of this sweep's policy servers, for its owner's eyes only
logs/           what jobs printed
"""

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sfbench.errors import RunFolderError, UsageError
from sfbench.launch.graph import Cell, Graph, Stage, TaskName
from sfbench.rollout.run_folder import write_atomically

TOKEN_VARIABLE = "SFBENCH_SWEEP_TOKEN"  # noqa: S105 (a variable's name)
_FINISHED = "finished.json"


class SweepFolder:
    """Paths and files of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    # -- the sweep

    @property
    def exists(self) -> bool:
        """Whether a sweep was made here."""
        return (self.path / "graph.json").exists()

    def graph(self) -> Graph:
        """The graph. Raises RunFolderError where there is none."""
        path = self.path / "graph.json"
        try:
            return Graph.from_json(json.loads(path.read_text()))
        except FileNotFoundError as error:
            raise RunFolderError(f"{self.path} is no sweep folder: it has no graph.json") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(f"{path} cannot be read: {error}") from error

    def write_sweep(self, graph: Graph, sweep_yaml: str) -> None:
        """Write what is to be run. Raises UsageError where the folder cannot be written."""
        try:
            write_atomically(self.path / "sweep.yaml", sweep_yaml)
            write_atomically(self.path / "graph.json", json.dumps(graph.to_json(), indent=1) + "\n")
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from error

    # -- jobs

    def add_event(self, event: str, **details: object) -> None:
        """Append a line to `jobs.jsonl`, on disk before this returns."""
        line = {"event": event, "time": datetime.now(UTC).isoformat(timespec="seconds"), **details}
        with (self.path / "jobs.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def events(self) -> list[dict[str, Any]]:
        """All lines; one that is not complete (its writer was killed) is passed over."""
        path = self.path / "jobs.jsonl"
        if not path.exists():
            return []
        lines = path.read_text().splitlines(keepends=True)
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(json.loads(line))
            except ValueError as error:
                if number < len(lines) and line.endswith("\n") and not line.isspace():
                    raise RunFolderError(f"{path}, line {number}: cannot be read") from error
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Held while jobs are submitted or cancelled. Raises RunFolderError if it is taken."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / "lock").open("a+")
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise RunFolderError(
                    f"{self.path} is in use: {holder} is submitting or cancelling there. "
                    "Wait for it, or use another out="
                ) from error
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            yield

    # -- cells and tasks

    def is_played(self, task: TaskName, shards: int) -> bool:
        """Whether a process writes episodes of this task now."""
        journal = self.journal(task, shards)
        return journal.exists() and is_held(journal)

    def cell(self, cell: str) -> Path:
        """The run folder of a cell."""
        return self.path / "cells" / cell

    def write_finished(self, cell: Cell) -> None:
        """Keep, in its folder, that a cell's command came to its end."""
        said = {"cell": cell.hash, "time": datetime.now(UTC).isoformat(timespec="seconds")}
        write_atomically(self.cell(cell.id) / _FINISHED, json.dumps(said) + "\n")

    def is_finished(self, cell: Cell) -> bool:
        """Whether `write_finished` was told of this very cell."""
        return _read_object(self.cell(cell.id) / _FINISHED).get("cell") == cell.hash

    def lock_of(self, cell: str) -> Path:
        """Held while a cell that must have but one process is worked on."""
        return self.path / "tasks" / f"{cell}.lock"

    @property
    def logs(self) -> Path:
        """Where jobs write what they print."""
        return self.path / "logs"

    @property
    def report(self) -> Path:
        """Where the report goes."""
        return self.path / "report"

    def journal(self, task: TaskName, shards: int) -> Path:
        """The rows that a task writes."""
        return self.cell(task.cell) / "episodes" / f"{task.shard}-of-{shards}.jsonl"

    def write_task(self, task: TaskName, said: Mapping[str, object]) -> None:
        """Keep what a task says of itself."""
        write_atomically(self._task(task), json.dumps(dict(said)) + "\n")

    def read_task(self, task: TaskName) -> dict[str, Any]:
        """What a task last said; empty if it never ran."""
        return _read_object(self._task(task))

    def _task(self, task: TaskName) -> Path:
        return self.path / "tasks" / f"{task.cell}.{task.shard}.json"

    # -- policy servers

    def write_server(self, cell: str, said: Mapping[str, object]) -> None:
        """Tell clients where a server is."""
        write_atomically(self._server(cell), json.dumps(dict(said)) + "\n")

    def read_server(self, cell: str) -> dict[str, Any]:
        """Where a server is; empty if none runs."""
        return _read_object(self._server(cell))

    def remove_server(self, cell: str) -> None:
        """The server is gone."""
        self._server(cell).unlink(missing_ok=True)

    def _server(self, cell: str) -> Path:
        return self.path / "servers" / f"{cell}.json"

    def token(self) -> str:
        """The sweep's secret, made when it is first asked for; nobody else can read its file."""
        path = self.path / "token"
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return path.read_text().strip()
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        return path.read_text().strip()


def is_held(path: Path) -> bool:
    """Whether a process, on whichever machine, holds the lock of a file."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def submitted_tasks(events: list[dict[str, Any]]) -> dict[str, TaskName]:
    """The task of each job id that was ever submitted: `12_3` of an array, `12` of a single job."""
    found: dict[str, TaskName] = {}
    for event in events:
        if event["event"] != "submitted":
            continue
        tasks = [TaskName.parse(text) for text in event["tasks"]]
        for index, task in enumerate(tasks):
            found[f"{event['job']}_{index}" if len(tasks) > 1 else str(event["job"])] = task
    return found


def stage_of(event: Mapping[str, Any]) -> Stage:
    """The stage of a `submitted` line."""
    return Stage(event["stage"])
