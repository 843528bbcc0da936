"""A table of texts, and how Markdown, CSV and LaTeX print it. The page does so in `page.py`."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LEFT = ("policy", "task", "remarks", "method", "source", "protocol", "curve", "arm", "against",
         "model", "layer", "head", "split")  # fmt: skip
_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as people read them: every format prints these texts, so none can differ.

    Attributes:
        title: a heading; also LaTeX's caption.
        note: what a reader must know, or ''.
        headings: of the columns.
        lines: each as long as `headings`.
    """

    title: str
    note: str
    headings: Sequence[str]
    lines: Sequence[Sequence[str]]


def markdown_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """A table's lines; numbers to the right."""
    right = ["" if heading in _LEFT else ":" for heading in headings]
    return [
        "| " + " | ".join(_piped(headings)) + " |",
        "|" + "|".join(f"---{mark}" for mark in right) + "|",
        *("| " + " | ".join(_piped(line)) + " |" for line in lines),
    ]


def markdown_part(table: Table) -> list[str]:
    """A table with its heading."""
    note = [table.note, ""] if table.note else []
    return [f"## {table.title}", "", *note, *markdown_table(table.headings, table.lines), ""]


def to_csv(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return text.getvalue()


def latex_table(caption: str, headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table environment; needs the packages booktabs and graphicx (it shrinks to the page)."""
    letters = "".join("l" if heading in _LEFT else "r" for heading in headings)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{escaped(caption)}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{letters}}}",
            r"\toprule",
            _latex_line(headings),
            r"\midrule",
            *(_latex_line(line) for line in lines),
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def latex_part(table: Table) -> str:
    """A table with its title and note as caption."""
    return latex_table(f"{table.title}. {table.note}".strip(), table.headings, table.lines)


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _latex_line(texts: Sequence[str]) -> str:
    return " & ".join(escaped(text) for text in texts) + r" \\"


def _piped(texts: Sequence[str]) -> list[str]:
    return [text.replace("|", "\\|") for text in texts]
