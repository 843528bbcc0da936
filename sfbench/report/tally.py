"""Counts of episodes by what they are: measured or not, and why not."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sfbench.contracts import Cause, EpisodeRow, Status
from sfbench.report.rate import Rate, wilson

MAX_UNMEASURED_SHARE = 0.02
"""Above this share of planned episodes without a measurement, a line is marked unpublishable."""


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
        """Episodes with a row, of whatever kind."""
        return self.rate.n + self.policy_errors + self.system_errors + self.invalid

    @property
    def total(self) -> int:
        """Episodes that should have been measured."""
        return max(self.planned, self.finished)

    @property
    def missing(self) -> int:
        """Planned episodes without a row."""
        return self.total - self.finished

    @property
    def complete(self) -> bool:
        """Whether every planned episode is a measurement."""
        return self.rate.n == self.total

    @property
    def publishable(self) -> bool:
        """Whether nearly every planned episode is a measurement."""
        return self.total - self.rate.n <= MAX_UNMEASURED_SHARE * self.total

    @property
    def strict(self) -> Rate:
        """The rate with policy errors, invalid and unfinished episodes as failures.

        System errors stay out: they say nothing about the policy.
        """
        return wilson(self.rate.successes, self.total - self.system_errors)


def tally_counts(counts: Mapping[tuple[str, str], int], planned: int = 0) -> Tally:
    """A tally from numbers of (status, cause) pairs; the cause is '' where there is none."""
    successes = counts.get((Status.SUCCESS, ""), 0)
    return Tally(
        rate=wilson(successes, successes + counts.get((Status.FAILURE, ""), 0)),
        policy_errors=counts.get((Status.ERROR, Cause.POLICY), 0),
        system_errors=counts.get((Status.ERROR, Cause.SYSTEM), 0),
        invalid=counts.get((Status.INVALID, ""), 0),
        planned=planned,
    )


def tally_rows(rows: Iterable[EpisodeRow]) -> Tally:
    """Count rows."""
    return tally_counts(Counter((str(row.status), str(row.cause or "")) for row in rows))
