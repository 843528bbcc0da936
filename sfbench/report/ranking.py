"""Who is better than whom, with how much certainty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from sfbench.contracts import Status
from sfbench.report.comparison import (
    Outcomes,
    PairCounts,
    all_pairs,
    count_pairs,
    holm,
    mcnemar_exact,
    paired_difference,
    ranks,
)
from sfbench.report.entries import Entry
from sfbench.report.intervals import Estimate, difference

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Pair:
    """Two entries of one section.

    Attributes:
        first: the one that stands higher.
        second: the other.
        shared: episodes that both played and that count for both; 0 for an unpaired comparison.
        discordant: of these, solved by the first alone, and by the second alone.
        gap: difference of the suite means, first minus second.
        p: of exact McNemar where paired, else of the interval of the difference.
        p_holm: corrected for all pairs of the section.
    """

    first: Entry
    second: Entry
    shared: int
    discordant: tuple[int, int]
    gap: Estimate
    p: float
    p_holm: float

    @property
    def decided(self) -> bool:
        """Whether the first is better at the 5 % level, after correction."""
        return self.p_holm < ALPHA and self.gap.value > 0


@dataclass(frozen=True, slots=True)
class _Test:
    shared: int
    discordant: tuple[int, int]
    gap: Estimate
    p: float


def compare_all(entries: Sequence[Entry]) -> list[Pair]:
    """Every pair of a section's entries that have a mean, best first."""
    ranked = [entry for entry in entries if entry.mean is not None]
    numbers = all_pairs(len(ranked))
    # Episodes of several training seeds are no independent coins: their spread decides.
    outcomes = [outcomes_by_task(e) if len(e.seeds) == 1 else {} for e in ranked]
    tests = [
        _test(ranked[one], ranked[two], _shared(outcomes[one], outcomes[two]))
        for one, two in numbers
    ]
    adjusted = holm([test.p for test in tests])
    return [
        Pair(ranked[one], ranked[two], test.shared, test.discordant, test.gap, test.p, corrected)
        for (one, two), test, corrected in zip(numbers, tests, adjusted, strict=True)
    ]


def rank_of(entries: Sequence[Entry], pairs: Sequence[Pair]) -> dict[int, int]:
    """Rank by `id` of the entry: 1 + how many are better after correction."""
    place = {id(entry): index for index, entry in enumerate(entries)}
    better = [(place[id(pair.first)], place[id(pair.second)]) for pair in pairs if pair.decided]
    numbers = ranks(better, len(entries))
    return {key: numbers[index] for key, index in place.items()}


def _shared(first: Mapping[str, Outcomes], second: Mapping[str, Outcomes]) -> dict[str, PairCounts]:
    return {task: count_pairs(first[task], second[task]) for task in first if task in second}


def _test(first: Entry, second: Entry, tasks: Mapping[str, PairCounts]) -> _Test:
    complete = tasks.keys() == first.tasks.keys() == second.tasks.keys()
    if complete and all(counts.n for counts in tasks.values()):
        wins = sum(counts.first_only for counts in tasks.values())
        losses = sum(counts.second_only for counts in tasks.values())
        shared = sum(counts.n for counts in tasks.values())
        p = mcnemar_exact(wins, losses)
        return _Test(shared, (wins, losses), paired_difference(tasks), p)
    assert first.mean is not None
    assert second.mean is not None
    gap = difference(first.mean, second.mean)
    return _Test(0, (0, 0), gap, _p_of(gap))


def outcomes_by_task(entry: Entry) -> dict[str, Outcomes]:
    """What an entry of one training seed measured, ready to be paired."""
    first = entry.rows[entry.rows["repeat"] == 0]
    measured = first[first["status"].isin([Status.SUCCESS, Status.FAILURE])]
    return {
        str(task): Outcomes(
            rows["episode"].to_numpy(), (rows["status"] == Status.SUCCESS).to_numpy(bool)
        )
        for task, rows in measured.groupby("task", sort=True)
    }


def _p_of(gap: Estimate) -> float:
    """Two-sided p of a difference whose 95 % interval is known on both sides."""
    reach = gap.value - gap.low if gap.value > 0 else gap.high - gap.value
    if reach <= 0:
        return 1.0 if gap.value == 0 else 0.0
    z = abs(gap.value) / (reach / NormalDist().inv_cdf(0.975))
    return 2 * (1 - NormalDist().cdf(z))
