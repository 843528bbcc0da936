"""The command lines that cells stand for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfbench.launch.folder import TOKEN_VARIABLE, SweepFolder
from sfbench.launch.graph import Cell, Graph, TaskName
from sfbench.launch.grid import as_argument
from sfbench.launch.preparing import prepared_folders
from sfbench.launch.references import resolve_keys


def checkpoint_of(folder: SweepFolder, cell: Cell) -> Path:
    """The checkpoint that an evaluation or a probe of a trained policy reads."""
    assert cell.needs is not None
    assert cell.step is not None
    return folder.cell(cell.needs) / "checkpoints" / str(cell.step)


def eval_arguments(
    folder: SweepFolder, graph: Graph, task: TaskName, more: Mapping[str, Any]
) -> list[str]:
    """Arguments of `sfbench eval` for a task.

    Args:
        folder: of the sweep.
        graph: its graph.
        task: which cell and shard.
        more: keys that only the place of execution knows, such as `workers`; the cell's own win.
    """
    cell = graph.cells[task.cell]
    keys: dict[str, Any] = {**more, **cell.keys}
    if cell.step is not None:
        keys["checkpoint"] = str(checkpoint_of(folder, cell))
    keys["shard"] = f"{task.shard}/{cell.shards}"
    keys["out"] = str(folder.cell(cell.id))
    return _typed(folder, graph, keys)


def server_keys(server: Mapping[str, Any]) -> dict[str, Any]:
    """Keys with which `sfbench eval` reaches a policy server."""
    return {
        "policy.host": server["host"],
        "policy.port": server["port"],
        "policy.token_env": TOKEN_VARIABLE,
    }


def train_arguments(folder: SweepFolder, graph: Graph, cell: Cell) -> list[str]:
    """Arguments of a training; it keeps the checkpoints that are evaluated."""
    keys = {"keep": list(cell.steps), **cell.keys, "out": str(folder.cell(cell.id))}
    return _typed(folder, graph, keys)


def own_arguments(folder: SweepFolder, graph: Graph, cell: Cell) -> list[str]:
    """A cell's keys as they are typed, and nothing else."""
    return _typed(folder, graph, cell.keys)


def out_arguments(folder: SweepFolder, graph: Graph, cell: Cell) -> list[str]:
    """Arguments of a preparation or a probe."""
    keys = {**cell.keys, "out": str(folder.cell(cell.id))}
    if cell.needs is not None:
        keys["start"] = str(checkpoint_of(folder, cell))
    return _typed(folder, graph, keys)


def _typed(folder: SweepFolder, graph: Graph, keys: Mapping[str, Any]) -> list[str]:
    found = resolve_keys(keys, prepared_folders(folder, graph))
    return [as_argument(*item) for item in found.items()]
