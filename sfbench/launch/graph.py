"""The graph of a sweep: cells, what each of them runs, and which wait for which."""

import dataclasses
import getpass
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from sfbench.contracts import stable_hash
from sfbench.errors import RunFolderError, UsageError
from sfbench.launch.grid import Point, as_argument, cell_ids, expand
from sfbench.launch.sweep_file import SweepConfig

GRAPH_SCHEMA = 1


class Stage(StrEnum):
    """What a cell does; stages run in this order."""

    TRAIN = "train"
    SERVE = "serve"
    EVAL = "eval"
    REPORT = "report"


class TaskName(NamedTuple):
    """One array task: a cell, or one of the shards that share it."""

    cell: str
    shard: int

    def __str__(self) -> str:
        return f"{self.cell}/{self.shard}"

    @classmethod
    def parse(cls, text: str) -> "TaskName":
        """Inverse of `str`."""
        cell, _, shard = text.rpartition("/")
        return cls(cell, int(shard))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One folder below `cells/`.

    Attributes:
        id: its folder's name.
        stage: what it does.
        keys: of its command, without `out` and `shard`.
        labels: label by axis.
        needs: the training or server that it uses, or None.
        step: training step whose checkpoint it evaluates, or None.
        steps: for a training: the steps that must leave a checkpoint.
        shards: array tasks that share it.
        planned: episodes; 0 where it plays none.
    """

    id: str
    stage: Stage
    keys: Mapping[str, Any]
    labels: Mapping[str, str]
    needs: str | None = None
    step: int | None = None
    steps: tuple[int, ...] = ()
    shards: int = 1
    planned: int = 0

    @property
    def arguments(self) -> list[str]:
        """Its keys as they are typed to a command."""
        return [as_argument(key, value) for key, value in self.keys.items()]

    @property
    def tasks(self) -> list[TaskName]:
        """Its array tasks."""
        return [TaskName(self.id, shard) for shard in range(self.shards)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """All cells of a sweep, and what their tasks have in common.

    Attributes:
        name: label in job names.
        id: tells this sweep's jobs from all others'.
        cwd: folder that relative paths of arguments start from.
        train_entry: see SweepConfig.
        server_idle_min: see SweepConfig.
        made_by: user and host.
        cells: by id.
    """

    name: str
    id: str
    cwd: str
    train_entry: str
    server_idle_min: float
    made_by: str
    cells: Mapping[str, Cell]

    @property
    def hash(self) -> str:
        """Of what is run; equal for two submissions of one sweep file."""
        return stable_hash(
            {"train_entry": self.train_entry,
             "cells": [_cell_json(cell) for cell in self.cells.values()]}
        )  # fmt: skip

    def of_stage(self, stage: Stage) -> list[Cell]:
        """The cells of one stage, in order."""
        return [cell for cell in self.cells.values() if cell.stage is stage]

    def job_name(self, stage: Stage) -> str:
        """Name of the jobs of a stage, by which they can be found again."""
        return f"sfbench-{self.name}-{self.id}-{stage}"

    def to_json(self) -> dict[str, Any]:
        """What `graph.json` holds."""
        own = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        own["cells"] = [_cell_json(cell) for cell in self.cells.values()]
        return {"schema": GRAPH_SCHEMA, "hash": self.hash, **own}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Graph":
        """Inverse of `to_json`. Raises RunFolderError for another version's."""
        if data.get("schema") != GRAPH_SCHEMA:
            raise RunFolderError(f"graph.json has schema {data.get('schema')}, not {GRAPH_SCHEMA}")
        names = [item.name for item in dataclasses.fields(cls)]
        cells = [_cell_from_json(item) for item in data["cells"]]
        own = {name: data[name] for name in names}
        return cls(**{**own, "cells": {cell.id: cell for cell in cells}})


def make_graph(config: SweepConfig, cwd: Path) -> Graph:
    """The graph of a sweep file; `planned` is not filled in yet.

    Raises:
        UsageError: an empty grid, one that is too large, or a key that nothing takes.
    """
    points = expand(config.grid, config.max_cells, max(1, len(config.checkpoints)))
    _check_prefixes(config, points)
    helpers = _Helpers(config, points)
    cells = [*helpers.cells, *_evaluations(config, points, helpers)]
    cells.append(Cell(id="report", stage=Stage.REPORT, keys={}, labels={}))
    assert config.name is not None
    return Graph(
        name="".join(c if c.isalnum() or c in "._" else "_" for c in config.name)[:40],
        id=secrets.token_hex(4),
        cwd=str(cwd.resolve()),
        train_entry=config.train_entry,
        server_idle_min=config.server_idle_min,
        made_by=f"{_user()}@{socket.gethostname()}",
        cells={cell.id: cell for cell in cells},
    )


class _Helpers:
    """The trainings or servers of a sweep: one for each different set of their keys."""

    def __init__(self, config: SweepConfig, points: Sequence[Point]) -> None:
        self.cells: list[Cell] = []
        self._by_keys: dict[str, Cell] = {}
        self._prefix, self._shared = "", {}
        if config.train is not None:
            self._prefix, self._shared = "train.", config.train
        elif config.server is not None:
            self._prefix, self._shared = "server.", config.server
        if self._prefix:
            self._make(config, points)

    def of(self, point: Point) -> Cell | None:
        """The one that a point uses."""
        return self._by_keys[self._key(point)] if self._prefix else None

    def _make(self, config: SweepConfig, points: Sequence[Point]) -> None:
        stage = Stage.TRAIN if config.train is not None else Stage.SERVE
        own_axes = [axis for axis, values in config.grid.items() if self._concerns(axis, values)]
        first = {self._key(point): point for point in reversed(points)}
        unique = list(dict.fromkeys(self._key(point) for point in points))
        labels = [{axis: first[key].labels[axis] for axis in own_axes} for key in unique]
        for name, key, label in zip(cell_ids(labels, f"{stage}-"), unique, labels, strict=True):
            keys = {**self._shared, **self._own(first[key])}
            cell = Cell(
                id=name,
                stage=stage,
                keys=keys,
                labels=label,
                steps=tuple(config.checkpoints),
            )
            self._by_keys[key] = cell
            self.cells.append(cell)

    def _concerns(self, axis: str, values: object) -> bool:
        sets = values.values() if isinstance(values, dict) else ()
        keys = [axis, *(str(key) for own in sets for key in own or ())]
        return any(key.startswith(self._prefix) for key in keys)

    def _own(self, point: Point) -> dict[str, Any]:
        return {
            key.removeprefix(self._prefix): value
            for key, value in point.keys.items()
            if key.startswith(self._prefix)
        }

    def _key(self, point: Point) -> str:
        return stable_hash(self._own(point))


def _evaluations(config: SweepConfig, points: Sequence[Point], helpers: _Helpers) -> list[Cell]:
    steps: Sequence[int | None] = config.checkpoints or [None]
    variants = [(point, step) for point in points for step in steps]
    labels = [
        dict(point.labels) if step is None else {**point.labels, "step": str(step)}
        for point, step in variants
    ]
    cells = []
    for (point, step), label, name in zip(variants, labels, cell_ids(labels), strict=True):
        used = helpers.of(point)
        keys = {**config.eval}
        keys |= {key: value for key, value in point.keys.items() if not _is_helpers(key)}
        cells.append(
            Cell(
                id=name,
                stage=Stage.EVAL,
                keys=keys,
                labels=label,
                needs=None if used is None else used.id,
                step=step,
                shards=config.shards,
            )
        )
    return cells


def _is_helpers(key: str) -> bool:
    return key.startswith(("train.", "server."))


def _check_prefixes(config: SweepConfig, points: Sequence[Point]) -> None:
    for prefix, there in (("train.", config.train), ("server.", config.server)):
        used = next((key for key in points[0].keys if key.startswith(prefix)), None)
        if used is not None and there is None:
            raise UsageError(f"the grid sets {used}, but the sweep has no `{prefix[:-1]}`; add it")
    for key in ("out", "shard"):
        if key in config.eval or any(key in point.keys for point in points):
            raise UsageError(f"{key} of a cell is set by the sweep; leave it out")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # An account without a name, as in some containers.
        return "?"


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {item.name: getattr(cell, item.name) for item in dataclasses.fields(cell)} | {
        "keys": dict(cell.keys), "labels": dict(cell.labels), "steps": list(cell.steps)
    }  # fmt: skip


def _cell_from_json(data: Mapping[str, Any]) -> Cell:
    return Cell(**{**data, "stage": Stage(data["stage"]), "steps": tuple(data["steps"])})
