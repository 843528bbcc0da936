"""Rows grouped into the lines of a table: what was measured, and what was not."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sfbench.contracts import Cause, EpisodeRow, Status
from sfbench.report.intervals import Rate, wilson


class EntryKey(NamedTuple):
    """One line of a leaderboard: rows are pooled only where all of these are equal."""

    suite: str
    card: str
    split: str
    policy: str
    checkpoint: str
    preset: str
    arm: str
    recipe: str
    train_step: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of some rows.

    Attributes:
        rate: over successes and failures only.
        policy_errors: errors that the policy caused.
        system_errors: errors of simulator, renderer or machine, after all attempts.
        invalid: solved at reset, or a corrupt frame.
        planned: episodes that the plan holds for these rows; 0 where it is not known.
    """

    rate: Rate
    policy_errors: int
    system_errors: int
    invalid: int
    planned: int

    @property
    def finished(self) -> int:
        """Rows of any status."""
        return self.rate.n + self.policy_errors + self.system_errors + self.invalid

    @property
    def complete(self) -> bool:
        """Whether every planned episode is a measurement."""
        return self.rate.n == max(self.planned, self.finished)

    @property
    def strict(self) -> Rate:
        """The rate with policy errors, invalid and unfinished episodes as failures.

        System errors stay out: they say nothing about the policy.
        """
        total = max(self.planned, self.finished) - self.system_errors
        return wilson(self.rate.successes, total)


def entry_key(row: EpisodeRow) -> EntryKey:
    """The leaderboard line that a row belongs to."""
    return EntryKey(
        suite=row.suite,
        card=row.card,
        split=row.split,
        policy=row.policy,
        checkpoint=row.checkpoint or "",
        preset=row.preset or "",
        arm=row.arm or "",
        recipe=row.recipe or "",
        train_step=-1 if row.train_step is None else row.train_step,
    )


def tally(rows: Iterable[EpisodeRow], planned: int = 0) -> Tally:
    """Count rows by what they are."""
    counts: Counter[tuple[Status, Cause | None]] = Counter((row.status, row.cause) for row in rows)
    successes = counts[Status.SUCCESS, None]
    return Tally(
        rate=wilson(successes, successes + counts[Status.FAILURE, None]),
        policy_errors=counts[Status.ERROR, Cause.POLICY],
        system_errors=counts[Status.ERROR, Cause.SYSTEM],
        invalid=counts[Status.INVALID, None],
        planned=planned,
    )


def by_task(rows: Iterable[EpisodeRow]) -> Mapping[str, Sequence[EpisodeRow]]:
    """Rows of each task, in the order of first appearance."""
    found: dict[str, list[EpisodeRow]] = {}
    for row in rows:
        found.setdefault(row.task, []).append(row)
    return found
