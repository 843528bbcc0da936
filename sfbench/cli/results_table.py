"""The table that `sfbench eval` ends with."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sfbench.contracts import EpisodeRow
from sfbench.report.tally import Tally, tally_rows


def print_results(rows: Sequence[EpisodeRow], run_folder: Path) -> None:
    """Print success per task and overall, with 95 % intervals and what was not measured."""
    table = Table(title=f"{rows[0].suite}: {rows[0].policy}" if rows else None)
    table.add_column("task", overflow="fold")
    for heading in ("success", "n", "95 % Wilson", "errors", "invalid"):
        table.add_column(heading, justify="right")
    for task in sorted({row.task for row in rows}):
        table.add_row(task, *_cells(tally_rows(row for row in rows if row.task == task)))
    table.add_section()
    table.add_row("all episodes", *_cells(tally_rows(rows)))
    console = Console()
    console.print(table)
    console.print(f"rows and videos: {run_folder}", soft_wrap=True)
    console.print(f"report: sfbench report {run_folder} -o REPORT_FOLDER", soft_wrap=True)


def _cells(counts: Tally) -> tuple[str, ...]:
    rate = counts.rate
    shown = f"{100 * rate.value:.1f} %" if rate.n else "-"
    interval = f"{100 * rate.low:.1f} to {100 * rate.high:.1f}" if rate.n else "-"
    errors = counts.policy_errors + counts.system_errors
    return shown, str(rate.n), interval, str(errors), str(counts.invalid)
