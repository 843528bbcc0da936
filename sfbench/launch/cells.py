"""From a sweep file to the graph of its cells."""

import getpass
import secrets
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfbench.contracts import stable_hash
from sfbench.errors import UsageError
from sfbench.launch.graph import Cell, Graph, Stage
from sfbench.launch.grid import Point, cell_ids, expand
from sfbench.launch.parts import Part, parts_of
from sfbench.launch.preparing import folders_of, preparations
from sfbench.launch.probing import probes
from sfbench.launch.references import resolve_keys
from sfbench.launch.sweep_file import SweepConfig


def make_graph(config: SweepConfig, cwd: Path) -> Graph:
    """The graph of a sweep file; `planned` is not filled in yet.

    Raises:
        UsageError: an empty grid, one that is too large, a key that nothing takes, or a reference
            to what is not prepared.
    """
    union = _Union(config)
    parts = parts_of(config)
    for part in parts:
        union.add(part)
    folders = folders_of(config.prepare, cwd)
    cells = [*union.helpers, *union.evaluations, *probes(config, parts, union.trained_by)]
    cells = [*preparations(config.prepare), *(_resolved(cell, folders) for cell in cells)]
    cells.append(Cell(id="report", stage=Stage.REPORT, keys={}, labels={}))
    assert config.name is not None
    return Graph(
        name="".join(c if c.isalnum() or c in "._" else "_" for c in config.name)[:40],
        id=secrets.token_hex(4),
        cwd=str(cwd.resolve()),
        train_entry=config.train_entry,
        server_idle_min=config.server_idle_min,
        made_by=f"{_user()}@{socket.gethostname()}",
        cells=_by_id(cells),
    )


class _Union:
    """The cells of all parts; what two parts have in common is there once.

    A training that parts share keeps the checkpoints of all of them.
    """

    def __init__(self, config: SweepConfig) -> None:
        self._config = config
        self._count = 0
        self._helpers: dict[str, Cell] = {}
        self._owners: dict[str, str] = {}
        self._evaluations: dict[str, list[Cell]] = {}

    @property
    def helpers(self) -> list[Cell]:
        """Trainings or servers."""
        return list(self._helpers.values())

    @property
    def evaluations(self) -> list[Cell]:
        """In the order of the parts."""
        return [cell for cells in self._evaluations.values() for cell in cells]

    def trained_by(self, part: Part) -> list[Cell]:
        """The trainings that a part was the first to have."""
        return [
            cell
            for identity, cell in self._helpers.items()
            if cell.stage is Stage.TRAIN and self._owners[identity] == part.name
        ]

    def add(self, part: Part) -> None:
        """Add a part's cells. Raises UsageError."""
        per_point = max(1, len(part.checkpoints))
        try:
            points = expand(part.grid, self._config.max_cells, per_point)
            _check_prefixes(self._config, part, points)
        except UsageError as error:
            raise UsageError(f"{part.title}{error}") from error
        self._count += len(points) * per_point
        if self._count > self._config.max_cells:
            raise UsageError(
                f"the parts have {self._count} cells, more than max_cells="
                f"{self._config.max_cells}; make them smaller, or raise max_cells"
            )
        used = self._add_helpers(part, points)
        earlier = set(self._evaluations)
        for cell in _evaluations(part, points, used):
            identity = stable_hash([dict(cell.keys), cell.needs, cell.step])
            if identity not in earlier:
                self._evaluations.setdefault(identity, []).append(cell)

    def _add_helpers(self, part: Part, points: Sequence[Point]) -> list[str | None]:
        """Add trainings or servers: one for each different set of their keys.

        Returns:
            The id of the one that each point uses.
        """
        stage, shared = Stage.TRAIN, part.train
        if shared is None:
            stage, shared = Stage.SERVE, self._config.server
        if shared is None:
            return [None] * len(points)
        prefix = _PREFIXES[stage]
        own = [_own_keys(point, prefix) for point in points]
        identities = [stable_hash([stage, {**shared, **keys}]) for keys in own]
        first = {identity: at for at, identity in reversed(list(enumerate(identities)))}
        unique = list(dict.fromkeys(identities))
        axes = [axis for axis, values in part.grid.items() if _concerns(axis, values, prefix)]
        labels = [{axis: points[first[one]].labels[axis] for axis in axes} for one in unique]
        names = cell_ids(labels, f"{part.prefix}{stage}-")
        steps = tuple(part.checkpoints)
        for name, identity, label in zip(names, unique, labels, strict=True):
            known = self._helpers.get(identity)
            keys = {**shared, **own[first[identity]]}
            self._owners.setdefault(identity, part.name)
            self._helpers[identity] = (
                Cell(id=name, stage=stage, keys=keys, labels=label, steps=steps)
                if known is None
                else replace(known, steps=tuple(sorted({*known.steps, *steps})))
            )
        return [self._helpers[identity].id for identity in identities]


_PREFIXES = {Stage.TRAIN: "train.", Stage.SERVE: "server."}


def _own_keys(point: Point, prefix: str) -> dict[str, Any]:
    """What a point sets of a training or server."""
    return {
        key.removeprefix(prefix): value
        for key, value in point.keys.items()
        if key.startswith(prefix)
    }


def _concerns(axis: str, values: object, prefix: str) -> bool:
    sets = values.values() if isinstance(values, dict) else ()
    keys = [axis, *(str(key) for own in sets for key in own or ())]
    return any(key.startswith(prefix) for key in keys)


def _evaluations(part: Part, points: Sequence[Point], used: Sequence[str | None]) -> list[Cell]:
    steps: Sequence[int | None] = part.checkpoints or [None]
    variants = [(point, needs, step) for point, needs in zip(points, used, strict=True)
                for step in steps]  # fmt: skip
    labels = [
        dict(point.labels) if step is None else {**point.labels, "step": str(step)}
        for point, _, step in variants
    ]
    cells = []
    names = cell_ids(labels, part.prefix)
    for (point, needs, step), label, name in zip(variants, labels, names, strict=True):
        own = {key: value for key, value in point.keys.items() if not _is_helpers(key)}
        cells.append(
            Cell(
                id=name,
                stage=Stage.EVAL,
                keys={**part.eval, **own},
                labels=label,
                needs=needs,
                step=step,
                shards=part.shards,
            )
        )
    return cells


def _is_helpers(key: str) -> bool:
    return key.startswith(tuple(_PREFIXES.values()))


def _check_prefixes(config: SweepConfig, part: Part, points: Sequence[Point]) -> None:
    for prefix, there in (("train.", part.train), ("server.", config.server)):
        used = next((key for key in points[0].keys if key.startswith(prefix)), None)
        if used is not None and there is None:
            raise UsageError(f"the grid sets {used}, but the sweep has no `{prefix[:-1]}`; add it")
    for key in ("out", "shard"):
        if any(key in point.keys for point in points):
            raise UsageError(f"{key} of a cell is set by the sweep; leave it out")


def _resolved(cell: Cell, folders: Mapping[str, str]) -> Cell:
    try:
        return replace(cell, keys=resolve_keys(cell.keys, folders))
    except UsageError as error:
        raise UsageError(f"cell {cell.id}: {error}") from error


def _by_id(cells: Sequence[Cell]) -> dict[str, Cell]:
    """Raises UsageError: two cells would share a folder, on a file system that ignores case."""
    counts = Counter(cell.id.lower() for cell in cells)
    for cell in cells:
        if counts[cell.id.lower()] > 1:
            raise UsageError(f"two cells would have the folder {cell.id}; rename a label or a part")
    return {cell.id: cell for cell in cells}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # An account without a name, as in some containers.
        return "?"
