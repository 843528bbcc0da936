"""usage: sfbench report RUN... -o DIR [--published FOLDER]

Writes leaderboard.md, .csv and .tex, tasks.csv, pairs.csv, episodes.parquet and index.html (with
the runs' videos) to DIR. Every figure is recomputed from the rows of the given run folders. Numbers
from papers (FOLDER/*.csv, default results/published) are shown apart.
"""  # noqa: D415 (a usage text)

from collections.abc import Sequence
from pathlib import Path

from sfbench.cli.options import take
from sfbench.errors import UsageError
from sfbench.report.write import write_report


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench report`."""
    rest = list(arguments)
    out = take(rest, "-o")
    if out is None:
        raise UsageError("say where the report goes: sfbench report RUN... -o DIR")
    published = take(rest, "--published") or "results/published"
    for text in rest:
        if text.startswith("-"):
            raise UsageError(f"unknown option '{text}'; usage: sfbench report RUN... -o DIR")
    write_report([Path(text) for text in rest], Path(out), Path(published))
    print((Path(out) / "leaderboard.md").read_text())
    print(f"page with videos: {Path(out) / 'index.html'}")
    return 0
