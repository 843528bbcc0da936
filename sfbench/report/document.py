"""What a report holds, and its Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass

from sfbench.report.losses import Losses
from sfbench.report.probe import Probe
from sfbench.report.published import Published
from sfbench.report.summaries import (
    curve_table,
    overview_table,
    published_table,
    ratio_table,
    resolution_table,
)
from sfbench.report.tables import HEADINGS, NOTE, Section, cells, task_table
from sfbench.report.tabular import (
    Table,
    latex_part,
    latex_table,
    markdown_part,
    markdown_table,
    to_csv,
)
from sfbench.report.training import CurveSet

POLICIES_A_TABLE = 3
"""LaTeX's tables of tasks are cut into parts of so many policies, to fit a page."""


@dataclass(frozen=True, slots=True)
class Document:
    """All that is printed, in any format.

    Attributes:
        sections: the leaderboard.
        curves: success against steps and demonstrations.
        losses: of training runs.
        probes: depth probes; None without any.
        published: numbers from papers.
        wished: a difference of rates that the reader would like to detect, such as 0.05.
    """

    sections: Sequence[Section]
    curves: Sequence[CurveSet]
    losses: Sequence[Losses]
    probes: Probe | None
    published: Published
    wished: float

    @property
    def shared_tables(self) -> list[Table]:
        """Tables that are of no one suite, in every format."""
        found = [ratio_table(self.curves), published_table(self.published)]
        found.insert(1, self.probes.table if self.probes else None)
        return [table for table in found if table is not None]


def markdown(document: Document) -> str:
    """A part per suite and card: rows of different cards are never in one table."""
    parts = ["# Leaderboard", "", NOTE, ""]
    overview = overview_table(document.sections)
    parts += markdown_part(overview) if overview else []
    for section in document.sections:
        parts += [f"## {section.suite} (card `{section.card}`)", ""]
        for warning in section.warnings:
            parts += [warning, ""]
        parts += markdown_table(HEADINGS, [cells(section, entry) for entry in section.entries])
        parts += ["", *markdown_part(task_table(section))]
        parts += markdown_part(resolution_table(section, document.wished))
    for table in (*map(curve_table, document.curves), *document.shared_tables):
        parts += markdown_part(table)
    return "\n".join(parts)


def latex(document: Document) -> str:
    """Table environments, ready to paste; they need the packages booktabs and graphicx."""
    parts = []
    for section in document.sections:
        caption = " ".join([f"{section.suite} (protocol card {section.card}).", *section.warnings])
        lines = [cells(section, entry) for entry in section.entries]
        parts.append(latex_table(caption, HEADINGS, lines))
        parts += [latex_part(part) for part in _pages(task_table(section))]
        parts.append(latex_part(resolution_table(section, document.wished)))
    overview = overview_table(document.sections)
    parts += [latex_part(overview)] if overview else []
    parts += [latex_part(table) for table in document.shared_tables]
    return "\n".join(parts)


def table_files(document: Document) -> dict[str, str]:
    """CSV files of the tables that stand nowhere else, by name."""
    found = {}
    overview = overview_table(document.sections)
    if overview:
        found["overview.csv"] = to_csv(overview.headings, overview.lines)
    lines: list[list[str]] = []
    for section in document.sections:
        table = resolution_table(section, document.wished)
        lines += [[section.suite, section.card, *line] for line in table.lines]
        found["resolution.csv"] = to_csv(("suite", "card", *table.headings), lines)
    published = published_table(document.published)
    if published:
        found["published.csv"] = to_csv(published.headings, published.lines)
    return found


def _pages(table: Table) -> list[Table]:
    """The same table in parts of few columns."""
    starts = range(1, len(table.headings), POLICIES_A_TABLE)
    return [
        Table(
            table.title,
            table.note,
            [table.headings[0], *table.headings[start : start + POLICIES_A_TABLE]],
            [[line[0], *line[start : start + POLICIES_A_TABLE]] for line in table.lines],
        )
        for start in starts
    ]
