"""The tables that a block may hold, by the names of the report's own files."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sfbench.errors import MissingError, UnknownNameError, UsageError
from sfbench.report.curves import Ratio
from sfbench.report.filling.selection import ENTRY_FIELDS, Asked
from sfbench.report.probe import Group
from sfbench.report.summaries import (
    curve_table,
    overview_table,
    pair_table,
    published_table,
    ratio_table,
    resolution_table,
)
from sfbench.report.tables import HEADINGS, cells, task_table
from sfbench.report.tabular import Table, markdown_table
from sfbench.report.training import CurveSet

PROBE_FIELDS = ("model", "layer", "head", "split")


@dataclass(frozen=True, slots=True)
class TableKind:
    """A table that a block may ask for.

    Attributes:
        options: that its mark may have.
        make: its tables; one for each suite and card where these are not said.
    """

    options: Sequence[str]
    make: Callable[[Asked], Sequence[Table]]


def table_body(kind: TableKind, asked: Asked) -> str:
    """The block's text: empty lines around, so that Markdown tells table and comments apart.

    Raises:
        UsageError: the rows give no such table.
    """
    tables = kind.make(asked)
    if not any(table.lines for table in tables):
        raise UsageError("the rows give no line of this table")
    parts: list[str] = []
    for table in tables:
        parts += [f"**{table.title}**", ""] if len(tables) > 1 else []
        parts += [table.note, ""] if table.note else []
        parts += [*markdown_table(table.headings, table.lines), ""]
    return "\n\n" + "\n".join(parts) + "\n"


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """Headings and lines of a committed CSV file.

    Raises:
        MissingError: no such file.
        UsageError: an empty one, or lines of other lengths.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}")
    with path.open(newline="", encoding="utf-8") as file:
        headings, *lines = list(csv.reader(file)) or [[]]
    for number, line in enumerate(lines, start=2):
        if len(line) != len(headings):
            raise UsageError(f"{path}, line {number}: {len(line)} cells under {len(headings)}")
    return headings, lines


def column(headings: Sequence[str], name: str) -> int:
    """Index of a column. Raises UnknownNameError."""
    if name not in headings:
        raise UnknownNameError("column", name, headings)
    return list(headings).index(name)


def probe_groups(asked: Asked) -> list[Group]:
    """The wanted lines of the depth probe. Raises UnknownNameError."""
    probe = asked.content.document.probes
    every = probe.groups if probe else []
    wanted = {n: asked.options[n].split(",") for n in PROBE_FIELDS if n in asked.options}
    for name, values in wanted.items():
        known = sorted({getattr(group.key, name) for group in every})
        for value in values:
            if value not in known:
                raise UnknownNameError(name, value, known)
    return [g for g in every if all(getattr(g.key, n) in wanted[n] for n in wanted)]


def _leaderboard(asked: Asked) -> list[Table]:
    return [
        Table(
            f"{section.suite} (card {section.card})",
            " ".join(section.warnings),
            HEADINGS,
            [cells(section, entry) for entry in section.entries],
        )
        for section in asked.sections()
    ]


def _overview(asked: Asked) -> list[Table]:
    table = overview_table(asked.sections())
    return [_bare(table)] if table else []


def _tasks(asked: Asked) -> list[Table]:
    return [_bare(task_table(section)) for section in asked.sections()]


def _pairs(asked: Asked) -> list[Table]:
    tables = [(section, pair_table(section)) for section in asked.sections()]
    return [
        _bare(replace(table, title=f"Pairs of {section.suite} (card {section.card})"))
        for section, table in tables
        if table
    ]


def _resolution(asked: Asked) -> list[Table]:
    wished = asked.content.document.wished
    return [_bare(resolution_table(section, wished)) for section in asked.sections()]


def _curves(asked: Asked) -> list[Table]:
    return [curve_table(group) for group in asked.curve_sets("curves")]


def _data_efficiency(asked: Asked) -> list[Table]:
    return [curve_table(group) for group in asked.curve_sets("data_efficiency")]


def _ratios(asked: Asked) -> list[Table]:
    """Ratios of the wanted arms, of one kind or of both."""
    tables = {"steps": "curves", "demos": "data_efficiency"}
    kind = asked.options.get("kind")
    if kind is not None and kind not in tables:
        raise UnknownNameError("value of kind", kind, tables)
    sets = [
        replace(group, ratios=[ratio for ratio in group.ratios if _is_wanted(ratio, group)])
        for name, table in tables.items()
        if kind in (None, name)
        for group in asked.curve_sets(table)
    ]
    made = ratio_table(sets)
    return [_bare(made)] if made else []


def _is_wanted(ratio: Ratio, group: CurveSet) -> bool:
    """Whether points of the ratio's arm are left in the set."""
    arms = {entry.key.arm for entry in group.entries}
    return any(ratio.arm == arm or ratio.arm.startswith(f"{arm} (recipe ") for arm in arms)


def _published(asked: Asked) -> list[Table]:
    table = published_table(asked.content.document.published)
    return [_bare(table)] if table else []


def _probe(asked: Asked) -> list[Table]:
    probe = asked.content.document.probes
    if probe is None:
        return []
    return [_bare(replace(probe, groups=probe_groups(asked)).table)]


def _csv(asked: Asked) -> list[Table]:
    headings, lines = read_csv(asked.folder / asked.one("file"))
    names = asked.options.get("columns")
    chosen = [column(headings, name) for name in names.split(",")] if names else None
    places = range(len(headings)) if chosen is None else chosen
    kept = [[line[place] for place in places] for line in lines]
    return [Table("", "", [headings[place] for place in places], kept)]


def _bare(table: Table) -> Table:
    """Without the note: a page says in its own words what a reader must know."""
    return replace(table, note="")


_OF_ENTRIES = tuple(ENTRY_FIELDS)
TABLES: Mapping[str, TableKind] = {
    "leaderboard": TableKind(_OF_ENTRIES, _leaderboard),
    "overview": TableKind(_OF_ENTRIES, _overview),
    "tasks": TableKind(_OF_ENTRIES, _tasks),
    "pairs": TableKind(_OF_ENTRIES, _pairs),
    "resolution": TableKind(_OF_ENTRIES, _resolution),
    "curves": TableKind(_OF_ENTRIES, _curves),
    "data_efficiency": TableKind(_OF_ENTRIES, _data_efficiency),
    "ratios": TableKind(("kind", *_OF_ENTRIES), _ratios),
    "probe": TableKind(PROBE_FIELDS, _probe),
    "published": TableKind((), _published),
    "csv": TableKind(("file", "columns"), _csv),
}
