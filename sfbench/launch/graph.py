"""The graph of a sweep: cells, what each of them runs, and which wait for which."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sfbench.contracts import stable_hash
from sfbench.errors import RunFolderError

GRAPH_SCHEMA = 2


class Stage(StrEnum):
    """What a cell does; stages run in this order."""

    PREPARE = "prepare"
    TRAIN = "train"
    SERVE = "serve"
    EVAL = "eval"
    PROBE = "probe"
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
        keys: of its command, without `out` and `shard`; values may begin with `@NAME`, the folder
            of the cell `prepare-NAME`.
        labels: label by axis.
        command: for a preparation: what is typed after `sfbench`, such as `train vlm`.
        needs: the training or server that it uses, or None.
        step: training step whose checkpoint it evaluates or probes, or None.
        steps: for a training: the steps that must leave a checkpoint.
        shards: array tasks that share it.
        planned: episodes; 0 where it plays none.
    """

    id: str
    stage: Stage
    keys: Mapping[str, Any]
    labels: Mapping[str, str]
    command: str = ""
    needs: str | None = None
    step: int | None = None
    steps: tuple[int, ...] = ()
    shards: int = 1
    planned: int = 0

    @property
    def hash(self) -> str:
        """Of all that it is; a folder that was finished for another cell does not count for it."""
        return stable_hash(_cell_json(self))

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


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {item.name: getattr(cell, item.name) for item in dataclasses.fields(cell)} | {
        "keys": dict(cell.keys), "labels": dict(cell.labels), "steps": list(cell.steps)
    }  # fmt: skip


def _cell_from_json(data: Mapping[str, Any]) -> Cell:
    return Cell(**{**data, "stage": Stage(data["stage"]), "steps": tuple(data["steps"])})
