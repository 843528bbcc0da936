"""Numbers from papers, kept apart from measured ones."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from sfbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One number as its source prints it; texts, so that nothing is rounded anew.

    Attributes:
        method: as the source calls it.
        suite: our name of the suite, or `libero` for the mean over suites.
        task: a task, or `mean`.
        success_pct: success in percent.
        n: episodes behind it; empty where the source does not say.
        source: paper or repository.
        where_in_source: table, section or file.
        protocol: what is known of how it was measured.
    """

    method: str
    suite: str
    task: str
    success_pct: str
    n: str
    source: str
    where_in_source: str
    protocol: str


@dataclass(frozen=True, slots=True)
class Published:
    """What papers say of a report's suites.

    Attributes:
        rows: all that belong to its suites.
        missing: what no source at hand says; a number is never filled in from memory.
    """

    rows: Sequence[PublishedRow]
    missing: Sequence[str] = ()


def read_published(folder: Path, suites: Iterable[str]) -> Published:
    """Read every CSV of a folder; keeps rows of the given suites and of their family's mean.

    What is missing stands in `missing.txt`, one thing a line.

    Raises:
        UsageError: a file whose columns or numbers are not as they should be.
    """
    wanted = set(suites) | {suite.partition("_")[0] for suite in suites}
    rows = [row for path in sorted(folder.glob("*.csv")) for row in _read(path)]
    absent = folder / "missing.txt"
    missing = absent.read_text().splitlines() if absent.exists() else []
    return Published([row for row in rows if row.suite in wanted], missing)


def _read(path: Path) -> list[PublishedRow]:
    names = [item.name for item in fields(PublishedRow)]
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != names:
            raise UsageError(f"{path}: columns {reader.fieldnames}; allowed {names}")
        rows = [PublishedRow(**line) for line in reader]
    for number, row in enumerate(rows, start=2):
        try:
            good = 0 <= float(row.success_pct) <= 100 and bool(row.source)
        except ValueError:
            good = False
        if not good:
            raise UsageError(f"{path}, line {number}: needs a percentage and a source")
    return rows
