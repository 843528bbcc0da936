"""The leaderboard as LaTeX (booktabs), ready to paste."""

from collections.abc import Iterable, Sequence

from sfbench.report.tables import HEADINGS, Section, cells

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def leaderboard_latex(made: Iterable[Section]) -> str:
    """One table environment per section; needs the package booktabs."""
    return "\n".join(_table(section) for section in made)


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _table(section: Section) -> str:
    caption = f"{section.suite} (protocol card {section.card})."
    if section.not_comparable:
        caption += f" Not comparable with published numbers: {section.not_comparable}."
    lines = [cells(section, entry) for entry in section.entries]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{escaped(caption)}}}",
            r"\begin{tabular}{rlrrrrrrl}",
            r"\toprule",
            _line(HEADINGS),
            r"\midrule",
            *(_line(line) for line in lines),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _line(texts: Sequence[str]) -> str:
    return " & ".join(escaped(text) for text in texts) + r" \\"
