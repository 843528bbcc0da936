"""usage: sfbench report RUN... -o DIR [--published FOLDER]

Writes leaderboard.md, .csv and .tex, tasks.csv, pairs.csv, episodes.parquet and index.html (with
the runs' videos) to DIR. Every figure is recomputed from the rows of the given run folders. Numbers
from papers (FOLDER/*.csv, default results/published) are shown apart.
"""  # noqa: D415 (a usage text)

from collections.abc import Sequence
from pathlib import Path

from sfbench.errors import UsageError
from sfbench.report.write import write_report


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench report`."""
    rest = list(arguments)
    out = _take(rest, "-o")
    if out is None:
        raise UsageError("say where the report goes: sfbench report RUN... -o DIR")
    published = _take(rest, "--published") or "results/published"
    for text in rest:
        if text.startswith("-"):
            raise UsageError(f"unknown option '{text}'; usage: sfbench report RUN... -o DIR")
    write_report([Path(text) for text in rest], Path(out), Path(published))
    print((Path(out) / "leaderboard.md").read_text())
    print(f"page with videos: {Path(out) / 'index.html'}")
    return 0


def _take(arguments: list[str], option: str) -> str | None:
    """Remove an option and its value. Raises UsageError for an option without one."""
    if option not in arguments:
        return None
    at = arguments.index(option)
    if at + 1 == len(arguments):
        raise UsageError(f"{option} needs a value")
    value = arguments[at + 1]
    del arguments[at : at + 2]
    return value
