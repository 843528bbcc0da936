"""usage: sfbench report RUN... -o DIR

Writes leaderboard.md, leaderboard.csv, tasks.csv and index.html (with the runs' videos) to DIR.
Every figure is recomputed from the rows of the given run folders.
"""  # noqa: D415 (a usage text)

from collections.abc import Sequence
from pathlib import Path

from sfbench.errors import UsageError
from sfbench.report.write import write_report


def command(arguments: Sequence[str]) -> int:
    """Run `sfbench report`."""
    folders, out = _split(arguments)
    write_report(folders, out)
    print((out / "leaderboard.md").read_text())
    print(f"page with videos: {out / 'index.html'}")
    return 0


def _split(arguments: Sequence[str]) -> tuple[list[Path], Path]:
    rest = list(arguments)
    if "-o" not in rest or rest.index("-o") == len(rest) - 1:
        raise UsageError("say where the report goes: sfbench report RUN... -o DIR")
    at = rest.index("-o")
    out = Path(rest[at + 1])
    del rest[at : at + 2]
    for text in rest:
        if text.startswith("-"):
            raise UsageError(f"unknown option '{text}'; usage: sfbench report RUN... -o DIR")
    return [Path(text) for text in rest], out
