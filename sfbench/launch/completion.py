"""What of a sweep is done, read from run folders alone: never from what Slurm remembers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfbench.contracts import EpisodeKey, EpisodeRow
from sfbench.errors import RunFolderError
from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Cell, Graph, Stage, TaskName
from sfbench.rollout.journal import check_unique, read_journal

BY_FILES = (Stage.PREPARE, Stage.TRAIN, Stage.PROBE)
"""Stages whose cells are done or not, and no rows in between."""


@dataclass(frozen=True, slots=True)
class CellProgress:
    """One evaluation so far.

    Attributes:
        cell: which.
        rows: its finished episodes, each once.
        rows_by_shard: how many each shard has written.
        missing: its tasks that have episodes left.
    """

    cell: Cell
    rows: Sequence[EpisodeRow]
    rows_by_shard: Mapping[int, int]
    missing: Sequence[TaskName]


class Completion:
    """Reads a sweep's run folders."""

    def __init__(self, folder: SweepFolder, graph: Graph) -> None:
        self._folder = folder
        self._graph = graph
        self._planned: dict[str, list[EpisodeKey]] = {}

    def of_cell(self, cell: Cell) -> CellProgress:
        """One evaluation. Raises RunFolderError."""
        rows: list[EpisodeRow] = []
        by_shard: dict[int, int] = {}
        for path in sorted(self._folder.cell(cell.id).glob("episodes/*.jsonl")):
            found = read_journal(path).rows
            rows += found
            by_shard[int(path.stem.partition("-")[0])] = len(found)
        check_unique(rows, str(self._folder.cell(cell.id)))
        done = {row.key for row in rows}
        keys = self._keys(cell)
        missing = [
            task for task in cell.tasks if not done.issuperset(keys[task.shard :: cell.shards])
        ]
        return CellProgress(cell, rows, by_shard, missing)

    def incomplete(self) -> list[TaskName]:
        """Every task, of any stage but serving, that has something left to do, in stage order."""
        found: list[TaskName] = []
        for cell in self._graph.cells.values():
            if cell.stage in BY_FILES:
                found += [] if self.is_done(cell) else cell.tasks
            elif cell.stage is Stage.EVAL:
                found += self.of_cell(cell).missing
            elif cell.stage is Stage.REPORT and (
                found or not (self._folder.report / "leaderboard.md").exists()
            ):
                found += cell.tasks
        return found

    def is_done(self, cell: Cell) -> bool:
        """Whether a cell of BY_FILES has nothing left to do.

        A training has left every checkpoint that is used (they are there whole or not at all); a
        preparation or a probe has said so itself, see `SweepFolder.write_finished`.
        """
        if cell.stage is not Stage.TRAIN:
            return self._folder.is_finished(cell)
        checkpoints = self._folder.cell(cell.id) / "checkpoints"
        return all((checkpoints / str(step)).is_dir() for step in cell.steps)

    def _keys(self, cell: Cell) -> list[EpisodeKey]:
        """The planned episodes of a cell, in the order by which shards take them."""
        if cell.id not in self._planned:
            path = self._folder.cell(cell.id) / "plan.json"
            try:
                episodes = json.loads(path.read_text())["episodes"]
            except (OSError, ValueError, KeyError) as error:
                raise RunFolderError(f"{path} cannot be read: {error}") from error
            names = EpisodeKey._fields
            self._planned[cell.id] = [
                EpisodeKey(*(episode[name] for name in names)) for episode in episodes
            ]
        return self._planned[cell.id]
