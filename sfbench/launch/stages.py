"""What a task of each stage does."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from sfbench.errors import MissingError, UsageError
from sfbench.launch.collecting import write_sweep_report
from sfbench.launch.commands import (
    checkpoint_of,
    eval_arguments,
    out_arguments,
    train_arguments,
)
from sfbench.launch.folder import SweepFolder, is_held
from sfbench.launch.graph import Cell, Graph, Stage, TaskName
from sfbench.launch.preparing import alone, prepare
from sfbench.launch.rendezvous import join_slurm_job

LAG_S = 60.0
"""How long a file that another node wrote may take to be seen here."""


def run(
    folder: SweepFolder,
    graph: Graph,
    task: TaskName,
    workers: int,
    stop_asked: Callable[[], bool],
) -> int:
    """Do a task; returns the exit status of its command. Raises SfbenchError."""
    cell = graph.cells[task.cell]
    if cell.stage is Stage.PREPARE:
        return prepare(folder, cell, out_arguments(folder, graph, cell), workers)
    if cell.stage is Stage.TRAIN:
        return _train(folder, graph, cell)
    if cell.stage is Stage.EVAL:
        return _evaluate(folder, graph, task, workers, stop_asked)
    if cell.stage is Stage.PROBE:
        return _probe(folder, graph, cell)
    if cell.stage is Stage.REPORT:
        write_sweep_report(folder, graph)
        return 0
    from sfbench.launch.serving import serve

    return serve(folder, graph, cell)


def _train(folder: SweepFolder, graph: Graph, cell: Cell) -> int:
    try:
        entry: Callable[[list[str]], int] = resolve_name(graph.train_entry)
    except (ImportError, AttributeError, ValueError) as error:
        raise MissingError(
            f"train_entry={graph.train_entry} cannot be imported: {error}"
        ) from error
    join_slurm_job()
    return entry(train_arguments(folder, graph, cell))


def _probe(folder: SweepFolder, graph: Graph, cell: Cell) -> int:
    from sfbench.cli.probe import command

    with alone(folder.lock_of(cell.id)):
        if folder.is_finished(cell):
            return 0
        if cell.needs is not None:
            _await_checkpoint(checkpoint_of(folder, cell))
        # Rows are there before the pictures, so that the rows do not tell whether it is complete.
        status = command(["depth", *out_arguments(folder, graph, cell)])
        if status == 0:
            folder.write_finished(cell)
        return status


def _evaluate(
    folder: SweepFolder,
    graph: Graph,
    task: TaskName,
    workers: int,
    stop_asked: Callable[[], bool],
) -> int:
    from sfbench.cli.eval import command

    cell = graph.cells[task.cell]
    _wait_until_free(folder.journal(task, cell.shards))
    more: dict[str, Any] = {"workers": workers}
    if cell.needs is None:
        return command(eval_arguments(folder, graph, task, more))
    if graph.cells[cell.needs].stage is Stage.TRAIN:
        _await_checkpoint(checkpoint_of(folder, cell))
        return command(eval_arguments(folder, graph, task, more))
    from sfbench.launch.clients import evaluate_with_server

    return evaluate_with_server(folder, graph, task, more, stop_asked)


def _await_checkpoint(path: Path) -> None:
    end_s = time.monotonic() + LAG_S
    while not path.is_dir():
        if time.monotonic() > end_s:
            raise UsageError(
                f"there is no checkpoint {path}: its training has not left one. "
                "`sfbench sweep resubmit` runs both again"
            )
        time.sleep(1.0)


def _wait_until_free(journal: Path) -> None:
    """Wait while an earlier process of this task still writes.

    A node that Slurm believes dead may go on working: its job has been queued again elsewhere, and
    the two would write the same episodes.
    """
    if not journal.exists():
        return
    told = False
    while is_held(journal):
        if not told:
            told = True
            print(f"waiting for the earlier process that still writes {journal}", file=sys.stderr)
        time.sleep(1.0)
