"""What a sweep cost: hours that its processes worked, added up, from what they left behind."""

import csv
import io
from collections.abc import Mapping

from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Cell, Graph
from sfbench.rollout.journal import read_journal
from sfbench.training.metrics import METRICS_FILE, read_metrics

_COLUMNS = ("stage", "what", "cells", "hours")
_KINDS = ("arm", "prepare", "probe")
"""Labels by which cells are put together."""


def costs_csv(folder: SweepFolder, graph: Graph) -> str:
    """Hours of each stage and arm, of the cells that have begun.

    Episodes and training steps are counted once each, however often a task was stopped and went on;
    loading, compiling and a teacher's features that were computed beforehand are left out.
    """
    hours: dict[tuple[str, str], list[float]] = {}
    for cell in graph.cells.values():
        spent_s = _spent_s(folder, cell)
        if spent_s:
            key = cell.stage.value, _what(cell.labels)
            hours.setdefault(key, []).append(spent_s / 3600)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for (stage, what), found in hours.items():
        writer.writerow((stage, what, len(found), f"{sum(found):.2f}"))
    return text.getvalue()


def _what(labels: Mapping[str, str]) -> str:
    return next((labels[kind] for kind in _KINDS if kind in labels), "-")


def _spent_s(folder: SweepFolder, cell: Cell) -> float:
    place = folder.cell(cell.id)
    journals = [file for file in place.rglob("*.jsonl") if file.parent.name == "episodes"]
    spent_s = sum(row.wall_s for file in journals for row in read_journal(file).rows)
    for file in place.rglob(METRICS_FILE):
        # Only some steps are logged.
        if lines := read_metrics(file.parent):
            spent_s += lines[-1]["step"] * sum(line["step_s"] for line in lines) / len(lines)
    if not spent_s:
        said = folder.read_task(cell.tasks[0])
        spent_s = said.get("ended_s", 0.0) - said.get("started_s", 0.0)
    return max(spent_s, 0.0)
