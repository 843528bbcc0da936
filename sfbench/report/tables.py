"""The report's figures as data, and as CSV and Markdown. LaTeX and HTML print the same cells."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sfbench.report.entries import Entry, sections
from sfbench.report.intervals import Estimate
from sfbench.report.ranking import Pair, compare_all, rank_of
from sfbench.report.rate import Rate
from sfbench.report.tally import Tally

NOTE = (
    "Success is the mean over tasks of the share of episodes solved among those measured (n). The "
    "95 % interval is for these tasks with other initial states (and training seeds); the second "
    "one for other tasks of the same kind. Errors and invalid episodes are no failures: they stand "
    "beside. Where there are any, or planned episodes are missing, the mean is the strict one: "
    "policy errors, invalid and missing episodes count as failures. Rank is 1 + the number of "
    "policies that are better at the 5 % level, corrected for all pairs (Holm)."
)

NAME_COLUMNS = (
    "suite", "card", "split", "policy", "preset", "weights", "arm", "demos", "train_step",
)  # fmt: skip
COUNT_COLUMNS = ("successes", "n", "planned", "policy_errors", "system_errors", "invalid")
LEADERBOARD_COLUMNS = (
    "rank", *NAME_COLUMNS, "mean_pct", "low_pct", "high_pct", "tasks_low_pct", "tasks_high_pct",
    "train_seeds", *COUNT_COLUMNS, "complete", "publishable", "comparable",
)  # fmt: skip
TASK_COLUMNS = (*NAME_COLUMNS, "task", "success_pct", "low_pct", "high_pct", *COUNT_COLUMNS,
                "strict_pct")  # fmt: skip
PAIR_COLUMNS = (
    "suite", "card", "first", "second", "kind", "shared", "first_only", "second_only", "gap_pct",
    "low_pct", "high_pct", "p", "p_holm", "decided",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """One table: entries of one suite and card, best first.

    Attributes:
        suite: its name.
        card: hash of the protocol that all of them share.
        entries: the lines.
        rank: by `id` of the entry.
        pairs: every pair, corrected together.
        not_comparable: why these rows do not compare with published ones, or ''.
    """

    suite: str
    card: str
    entries: Sequence[Entry]
    rank: Mapping[int, int]
    pairs: Sequence[Pair]
    not_comparable: str


def make_sections(entries: Sequence[Entry]) -> list[Section]:
    """Rank the entries of every suite and card."""
    made = []
    for (suite, card), some in sections(entries).items():
        pairs = compare_all(some)
        reason = _not_comparable(some)
        made.append(Section(suite, card, some, rank_of(some, pairs), pairs, reason))
    return made


def percent(value: float) -> str:
    """`62.0`; empty for NaN."""
    return f"{100 * value:.1f}" if value == value else ""


def span(interval: Estimate | Rate | None) -> str:
    """`48.2 to 74.1`: a 95 % interval in percent; empty where there is none."""
    if interval is None or (isinstance(interval, Rate) and not interval.n):
        return ""
    return f"{percent(interval.low)} to {percent(interval.high)}"


def leaderboard_csv(made: Iterable[Section]) -> str:
    """One line per entry."""
    return to_csv(
        LEADERBOARD_COLUMNS,
        (_leaderboard_line(section, entry) for section in made for entry in section.entries),
    )


def tasks_csv(entries: Iterable[Entry]) -> str:
    """One line per entry and task."""
    return to_csv(
        TASK_COLUMNS,
        (
            [*_names(entry), task, percent(counts.rate.value), *_bounds(counts.rate),
             *_counts(counts), percent(counts.strict.value)]
            for entry in entries
            for task, counts in entry.tasks.items()
        ),
    )  # fmt: skip


def pairs_csv(made: Iterable[Section]) -> str:
    """One line per pair of a section's entries."""
    return to_csv(
        PAIR_COLUMNS,
        (
            [section.suite, section.card, pair.first.label, pair.second.label,
             "paired" if pair.shared else "unpaired", pair.shared, *pair.discordant,
             percent(pair.gap.value), *_bounds(pair.gap), f"{pair.p:.3g}", f"{pair.p_holm:.3g}",
             str(pair.decided).lower()]
            for section in made
            for pair in section.pairs
        ),
    )  # fmt: skip


HEADINGS = ("rank", "policy", "mean %", "95 % interval", "other tasks", "n / planned", "errors",
            "invalid", "remarks")  # fmt: skip


def cells(section: Section, entry: Entry) -> list[str]:
    """A leaderboard line as people read it, under HEADINGS."""
    mean, counts = entry.mean, entry.total
    return [
        str(section.rank[id(entry)]) if mean else "",
        entry.label,
        percent(mean.value) if mean else "",
        span(mean),
        span(entry.mean_over_tasks),
        f"{counts.rate.n} / {counts.planned}",
        errors(counts),
        str(counts.invalid),
        remarks(entry),
    ]


def remarks(entry: Entry) -> str:
    """What a reader must know of a line."""
    found = []
    if len(entry.seeds) > 1:
        found.append(f"{len(entry.seeds)} training seeds")
    if not entry.total.complete:
        found.append("strict")
    if not entry.total.publishable:
        found.append("UNPUBLISHABLE: too much was not measured")
    if bool(entry.rows["leak"].any()):
        found.append("LEAK: trained on some of these states")
    return "; ".join(found)


def errors(counts: Tally) -> str:
    """Errors by whose fault they were."""
    if not counts.policy_errors and not counts.system_errors:
        return "0"
    return f"{counts.policy_errors} policy, {counts.system_errors} system"


def leaderboard_markdown(made: Sequence[Section]) -> str:
    """A part per suite and card: rows of different cards are never in one table."""
    parts = ["# Leaderboard", "", NOTE, ""]
    for section in made:
        parts += [f"## {section.suite} (card `{section.card}`)", ""]
        if section.not_comparable:
            parts += [f"Not comparable with published numbers: {section.not_comparable}.", ""]
        parts += markdown_table(HEADINGS, [cells(section, entry) for entry in section.entries])
        parts += ["", "Success per task, % (n):", "", *_task_matrix(section.entries), ""]
    return "\n".join(parts)


def markdown_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """A table; numbers to the right."""
    right = [":" if heading not in ("policy", "task", "remarks") else "" for heading in headings]
    return [
        "| " + " | ".join(headings) + " |",
        "|" + "|".join(f"---{mark}" for mark in right) + "|",
        *("| " + " | ".join(line) + " |" for line in lines),
    ]


def task_names(entries: Iterable[Entry]) -> list[str]:
    """All tasks of some entries, sorted."""
    return sorted({task for entry in entries for task in entry.tasks})


def _task_matrix(entries: Sequence[Entry]) -> list[str]:
    lines = []
    for task in task_names(entries):
        some = [entry.tasks.get(task) for entry in entries]
        texts = [f"{percent(c.rate.value) or '-'} ({c.rate.n})" if c else "" for c in some]
        lines.append([task, *texts])
    return markdown_table(["task", *(entry.label for entry in entries)], lines)


def _not_comparable(entries: Sequence[Entry]) -> str:
    """What the card itself says against a comparison with published numbers."""
    for entry in entries:
        for run in entry.runs:
            reason = run.card.env.get("not_comparable")
            if reason:
                return str(reason)
    return ""


def _leaderboard_line(section: Section, entry: Entry) -> list[object]:
    mean = entry.mean
    return [
        section.rank[id(entry)] if mean else "",
        *_names(entry),
        percent(mean.value) if mean else "",
        *_bounds(mean),
        *_bounds(entry.mean_over_tasks),
        len(entry.seeds),
        *_counts(entry.total),
        str(entry.total.complete).lower(),
        str(entry.total.publishable).lower(),
        str(not section.not_comparable).lower(),
    ]


def _names(entry: Entry) -> list[object]:
    key = entry.key
    numbers = ["" if number < 0 else number for number in (key.demos, key.train_step)]
    return [key.suite, key.card, key.split, key.policy, key.preset, key.weights, key.arm, *numbers]


def _counts(counts: Tally) -> list[object]:
    return [
        counts.rate.successes,
        counts.rate.n,
        counts.planned,
        counts.policy_errors,
        counts.system_errors,
        counts.invalid,
    ]


def _bounds(interval: Estimate | Rate | None) -> list[str]:
    if interval is None or (isinstance(interval, Rate) and not interval.n):
        return ["", ""]
    return [percent(interval.low), percent(interval.high)]


def to_csv(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return text.getvalue()
