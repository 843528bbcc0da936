"""How far a sweep is, cell by cell."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfbench.errors import StoppedError
from sfbench.launch.completion import BY_FILES, CellProgress, Completion
from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Cell, Graph, Stage, TaskName
from sfbench.launch.launchers import Launcher
from sfbench.report.tally import Tally, tally_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class CellStatus:
    """One cell so far.

    Attributes:
        cell: which.
        done: finished episodes; for other stages 1 when it is done.
        counts: of its rows.
        per_min: episodes a minute of the tasks that run now, or None.
        jobs: tasks by pending, running, failed.
        why: what the first failed task said.
    """

    cell: Cell
    done: int
    counts: Tally
    per_min: float | None
    jobs: Mapping[str, int]
    why: str

    @property
    def planned(self) -> int:
        """Episodes; for other stages 1."""
        return self.cell.planned if self.cell.stage is Stage.EVAL else 1

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.done >= self.planned

    @property
    def left_s(self) -> float | None:
        """Seconds to the end at the present rate, or None where nothing runs."""
        if self.complete or not self.per_min:
            return None
        return 60 * (self.planned - self.done) / self.per_min


@dataclass(frozen=True, slots=True)
class SweepStatus:
    """All cells, and whether anything is on its way.

    Attributes:
        cells: in order.
        active: tasks that have not ended.
        problem: why the launcher could not be asked, or empty.
    """

    cells: Sequence[CellStatus]
    active: Mapping[TaskName, str]
    problem: str

    @property
    def complete(self) -> bool:
        """Whether every planned episode has its row, and all else is done; less the report."""
        return all(item.complete for item in self.cells)

    @property
    def clean(self) -> bool:
        """Whether every finished episode is a measurement."""
        counts = [item.counts for item in self.cells]
        return not any(c.policy_errors + c.system_errors + c.invalid for c in counts)


def read_status(folder: SweepFolder, graph: Graph, launcher: Launcher | None) -> SweepStatus:
    """The state of a sweep; without an answer of the launcher, from files alone.

    Raises:
        RunFolderError: rows that cannot be read.
    """
    active: dict[TaskName, str] = {}
    ended: dict[TaskName, str] = {}
    problem = ""
    if launcher is not None:
        try:
            active, ended = launcher.active(), launcher.ended()
        except StoppedError as error:
            problem = str(error)
    completion = Completion(folder, graph)
    cells = []
    for cell in graph.cells.values():
        if cell.stage is Stage.EVAL:
            progress = completion.of_cell(cell)
            cells.append(_evaluation(folder, progress, active, ended))
        elif cell.stage in BY_FILES:
            done = completion.is_done(cell)
            missing = [] if done else cell.tasks
            cells.append(_other(folder, cell, int(done), missing, (active, ended)))
    return SweepStatus(cells, active, problem)


def _evaluation(
    folder: SweepFolder,
    progress: CellProgress,
    active: Mapping[TaskName, str],
    ended: Mapping[TaskName, str],
) -> CellStatus:
    jobs, why = _jobs(folder, progress.missing, active, ended)
    return CellStatus(
        cell=progress.cell,
        done=len(progress.rows),
        counts=tally_rows(progress.rows),
        per_min=_rate(folder, progress, active),
        jobs=jobs,
        why=why,
    )


def _other(
    folder: SweepFolder,
    cell: Cell,
    done: int,
    missing: Sequence[TaskName],
    states: tuple[Mapping[TaskName, str], Mapping[TaskName, str]],
) -> CellStatus:
    jobs, why = _jobs(folder, missing, *states)
    return CellStatus(cell=cell, done=done, counts=tally_rows([]), per_min=None, jobs=jobs, why=why)


def _jobs(
    folder: SweepFolder,
    missing: Sequence[TaskName],
    active: Mapping[TaskName, str],
    ended: Mapping[TaskName, str],
) -> tuple[Mapping[str, int], str]:
    """Tasks with something left to do, by what became of them; and why the first one failed."""
    counts: Counter[str] = Counter()
    why = ""
    for task in missing:
        state = active.get(task)
        if state is None:
            said = folder.read_task(task)
            counts["failed"] += 1
            known = ended.get(task) or str(said.get("state") or "never started")
            why = why or f"{task}: {known}" + (f": {said['text']}" if said.get("text") else "")
        else:
            counts["pending" if state == "PENDING" else "running"] += 1
    return counts, why


def _rate(
    folder: SweepFolder, progress: CellProgress, active: Mapping[TaskName, str]
) -> float | None:
    """Episodes a minute of the tasks that run now, each measured since it started."""
    total: float | None = None
    for task in progress.missing:
        said = folder.read_task(task)
        if active.get(task) != "RUNNING" or said.get("state") != "running":
            continue
        spent_s = time.time() - float(said["started_s"])
        gained = progress.rows_by_shard.get(task.shard, 0) - int(said["rows_before"])
        if spent_s > 0 and gained > 0:
            total = (total or 0.0) + 60 * gained / spent_s
    return total
