"""In what order one machine does a sweep's tasks, and what each of them uses."""

from collections.abc import Sequence

from sfbench.launch.graph import Cell, Graph, Stage, TaskName
from sfbench.launch.references import PREFIX, referred

_FIRST_AND_LAST = {Stage.PREPARE: 0, Stage.REPORT: 2}


def depth_first(graph: Graph, tasks: Sequence[TaskName]) -> list[TaskName]:
    """Preparations, then every training or server followed by what needs it, then the report.

    First results are there after the first training, not after the last.
    """
    rank = {cell: place for place, cell in enumerate(graph.cells)}

    def place(task: TaskName) -> tuple[int, int, int, int]:
        cell = graph.cells[task.cell]
        whole = _FIRST_AND_LAST.get(cell.stage, 1)
        return whole, rank[cell.needs or cell.id], rank[cell.id], task.shard

    return sorted(tasks, key=place)


def used_by(graph: Graph, cell: Cell) -> list[Cell]:
    """The cells whose results a cell reads."""
    if cell.stage is Stage.REPORT:
        return [*graph.of_stage(Stage.EVAL), *graph.of_stage(Stage.PROBE)]
    names = [f"{PREFIX}{name}" for name in sorted(referred(list(cell.keys.values())))]
    if cell.needs is not None:
        names.append(cell.needs)
    # A name that no cell has is a folder that was there before.
    return [graph.cells[name] for name in names if name in graph.cells]
