"""The table of `sfbench sweep status`."""

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from sfbench.launch.graph import Stage
from sfbench.launch.status import CellStatus, SweepStatus

_HEADINGS = ("done / planned", "success", "95 % Wilson", "errors", "per min", "jobs P/R/F", "left")
MAX_LINES = 200
_MAX_REASONS = 5
_WIDTH_IN_FILES = 160


def print_status(status: SweepStatus, console: Console | None = None) -> None:
    """Print a line per cell that is not complete, then those that are, and the sum."""
    out = console or Console()
    if not out.is_terminal:
        out.width = _WIDTH_IN_FILES
    table = Table(box=SIMPLE)
    table.add_column("cell", overflow="fold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    shown = sorted(status.cells, key=lambda item: item.complete)[:MAX_LINES]
    for item in [cell for cell in status.cells if cell in shown]:
        table.add_row(item.cell.id, *_cells(item))
    if len(status.cells) > MAX_LINES:
        table.add_row(f"... and {len(status.cells) - MAX_LINES} more")
    table.add_section()
    table.add_row(f"{len(status.cells)} cells", *_sum(status.cells))
    out.print(table)
    failed = [item for item in status.cells if item.why]
    for item in failed[:_MAX_REASONS]:
        out.print(f"failed: {item.why}", markup=False, soft_wrap=True)
    if len(failed) > _MAX_REASONS:
        out.print(f"... and {len(failed) - _MAX_REASONS} more cells with failed tasks")
    if status.problem:
        out.print(f"jobs are not known: {status.problem}", markup=False, soft_wrap=True)


def _cells(item: CellStatus) -> tuple[str, ...]:
    counts = item.counts
    rate = counts.rate
    errors = counts.policy_errors + counts.system_errors + counts.invalid
    evaluated = item.cell.stage is Stage.EVAL
    return (
        f"{item.done} / {item.planned}",
        f"{100 * rate.value:.1f} %" if rate.n else "-",
        f"{100 * rate.low:.1f} to {100 * rate.high:.1f}" if rate.n else "-",
        str(errors) if evaluated else "-",
        "-" if item.per_min is None else f"{item.per_min:.1f}",
        "/".join(str(item.jobs.get(state, 0)) for state in ("pending", "running", "failed")),
        "-" if item.left_s is None else _duration(item.left_s),
    )


def _sum(cells: Sequence[CellStatus]) -> tuple[str, ...]:
    evaluations = [item for item in cells if item.cell.stage is Stage.EVAL]
    done, planned = (sum(getattr(i, name) for i in evaluations) for name in ("done", "planned"))
    errors = sum(
        i.counts.policy_errors + i.counts.system_errors + i.counts.invalid for i in evaluations
    )
    rates = [item.per_min for item in cells if item.per_min]
    jobs = "/".join(
        str(sum(item.jobs.get(state, 0) for item in cells))
        for state in ("pending", "running", "failed")
    )
    rate = sum(rates)
    left = _duration(60 * (planned - done) / rate) if rate and done < planned else "-"
    shown = f"{rate:.1f}" if rates else "-"
    # No rate over all cells: they are different policies and tasks.
    return f"{done} / {planned}", "", "", str(errors), shown, jobs, left


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d}" if minutes >= 60 else f"{max(1, minutes)} min"
