"""The report of a sweep, from whatever is there."""

from pathlib import Path

from sfbench.errors import RunFolderError
from sfbench.launch.costs import costs_csv
from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Graph, Stage


def write_sweep_report(folder: SweepFolder, graph: Graph) -> Path:
    """Write the report of every evaluation that has rows, and of every probe; and `costs.csv`.

    Raises:
        RunFolderError: none has any.
        UsageError: rows that cannot be read.
    """
    from sfbench.cli.report import command

    runs = [folder.cell(cell.id) for cell in graph.of_stage(Stage.EVAL)]
    begun = [run for run in runs if (run / "card.json").exists() and _has_row(run)]
    if not begun:
        raise RunFolderError(f"{folder.path}: no evaluation has any rows yet")
    probes = [cell for cell in graph.of_stage(Stage.PROBE) if folder.is_finished(cell)]
    given = [*begun, *(folder.cell(cell.id) for cell in probes)]
    command([*map(str, given), "-o", str(folder.report)])
    (folder.report / "costs.csv").write_text(costs_csv(folder, graph), encoding="utf-8")
    return folder.report


def _has_row(run: Path) -> bool:
    return any(path.stat().st_size for path in run.glob("episodes/*.jsonl"))
