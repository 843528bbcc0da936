"""The leaderboard and the per-task table as Markdown and CSV."""

import csv
import io
from collections.abc import Iterable, Sequence

from sfbench.report.groups import Tally
from sfbench.report.intervals import Rate
from sfbench.report.load import Entry

LEADERBOARD_COLUMNS = (
    "suite", "card", "split", "policy", "preset", "checkpoint", "arm", "success_pct", "low_pct",
    "high_pct", "successes", "n", "planned", "policy_errors", "system_errors", "invalid",
    "strict_pct", "complete",
)  # fmt: skip

TASK_COLUMNS = ("suite", "card", "split", "policy", "preset", "checkpoint", "arm", "task",
                *LEADERBOARD_COLUMNS[7:])  # fmt: skip


def percent(rate: Rate) -> str:
    """`62.0`, or an empty text without episodes."""
    return f"{100 * rate.value:.1f}" if rate.n else ""


def interval(rate: Rate) -> str:
    """`48.2 to 74.1`: the 95 % Wilson interval in percent."""
    return f"{100 * rate.low:.1f} to {100 * rate.high:.1f}" if rate.n else ""


def leaderboard_csv(entries: Iterable[Entry]) -> str:
    """One line per entry."""
    return _csv(
        LEADERBOARD_COLUMNS, ([*_names(entry), *_numbers(entry.total)] for entry in entries)
    )


def tasks_csv(entries: Iterable[Entry]) -> str:
    """One line per entry and task."""
    lines = (
        [*_names(entry), task, *_numbers(counts)]
        for entry in entries
        for task, counts in entry.tasks.items()
    )
    return _csv(TASK_COLUMNS, lines)


def leaderboard_markdown(entries: Sequence[Entry]) -> str:
    """A section per suite and card: rows of different cards are never in one table."""
    parts = ["# Leaderboard", "", NOTE, ""]
    for suite, card in dict.fromkeys((entry.key.suite, entry.key.card) for entry in entries):
        some = [entry for entry in entries if (entry.key.suite, entry.key.card) == (suite, card)]
        parts += [f"## {suite} (card `{card}`)", "", *_markdown_table(some), ""]
        parts += ["Success per task, % (n):", "", *_task_matrix(some), ""]
    return "\n".join(parts)


NOTE = (
    "Success is the share of episodes solved among those measured (n), with its 95 % Wilson "
    "interval. Errors and invalid episodes are no failures: they stand beside. Where there are "
    "any, or planned episodes are missing, `strict` counts policy errors, invalid and missing "
    "episodes as failures."
)


def _markdown_table(entries: Iterable[Entry]) -> list[str]:
    lines = [
        "| policy | success % | 95 % interval | n / planned | errors | invalid | strict % |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for entry in entries:
        counts = entry.total
        strict = "" if counts.complete else percent(counts.strict)
        lines.append(
            f"| {entry.label} | {percent(counts.rate)} | {interval(counts.rate)} "
            f"| {counts.rate.n} / {counts.planned} "
            f"| {_errors(counts)} | {counts.invalid} | {strict} |"
        )
    return lines


def _errors(counts: Tally) -> str:
    if not counts.policy_errors and not counts.system_errors:
        return "0"
    return f"{counts.policy_errors} policy, {counts.system_errors} system"


def _task_matrix(entries: Sequence[Entry]) -> list[str]:
    tasks = sorted({task for entry in entries for task in entry.tasks})
    lines = [
        "| task | " + " | ".join(entry.label for entry in entries) + " |",
        "|---|" + "---:|" * len(entries),
    ]
    for task in tasks:
        cells = [_task_cell(entry.tasks.get(task)) for entry in entries]
        lines.append(f"| {task} | " + " | ".join(cells) + " |")
    return lines


def _task_cell(counts: Tally | None) -> str:
    return "" if counts is None else f"{percent(counts.rate) or '-'} ({counts.rate.n})"


def _names(entry: Entry) -> list[str]:
    key = entry.key
    return [key.suite, key.card, key.split, key.policy, key.preset, key.checkpoint, key.arm]


def _numbers(counts: Tally) -> list[object]:
    rate, measured = counts.rate, counts.rate.n > 0
    return [
        percent(rate),
        f"{100 * rate.low:.1f}" if measured else "",
        f"{100 * rate.high:.1f}" if measured else "",
        rate.successes,
        rate.n,
        counts.planned,
        counts.policy_errors,
        counts.system_errors,
        counts.invalid,
        percent(counts.strict),
        str(counts.complete).lower(),
    ]


def _csv(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return text.getvalue()
