"""Who is better than whom, with how much certainty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

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
from sfbench.report.seed_pairs import SeedOutcomes, paired_over_seeds, seed_differences

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Pair:
    """Two entries of one section.

    Attributes:
        first: the one that stands higher.
        second: the other.
        shared: episodes that both played and that count for both, of each training seed where
            both were trained with the same; 0 for an unpaired comparison.
        discordant: of these, solved by the first alone, and by the second alone.
        gap: difference of the suite means, first minus second.
        p: of exact McNemar where paired and of one training seed, else of the interval of the
            difference.
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
    alone = [outcomes_by_task(e) if len(e.seeds) == 1 else {} for e in ranked]
    seeded = [outcomes_by_seed(e) if len(e.seeds) > 1 else {} for e in ranked]
    tests = [
        _test_of_seeds(ranked[one], ranked[two], _differences(seeded[one], seeded[two]))
        or _test(ranked[one], ranked[two], _shared(alone[one], alone[two]))
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


_OfSeeds = Mapping[str, tuple[tuple[int, ...], SeedOutcomes]]


def _differences(first: _OfSeeds, second: _OfSeeds) -> dict[str, NDArray[np.int64]]:
    """By task; none where the two were not trained with the same seeds."""
    return {
        task: seed_differences(first[task][1], second[task][1])
        for task in first
        if task in second and first[task][0] == second[task][0]
    }


def _test_of_seeds(
    first: Entry, second: Entry, tasks: Mapping[str, NDArray[np.int64]]
) -> _Test | None:
    """Paired by training seed and episode: its spread over seeds counts, so no McNemar."""
    complete = tasks.keys() == first.tasks.keys() == second.tasks.keys()
    if not complete or not all(len(differences_ES) for differences_ES in tasks.values()):
        return None
    gap = paired_over_seeds(tasks)
    wins, losses = (
        sum(int((differences_ES == sign).sum()) for differences_ES in tasks.values())
        for sign in (1, -1)
    )
    shared = sum(differences_ES.size for differences_ES in tasks.values())
    return _Test(shared, (wins, losses), gap, _p_of(gap))


def outcomes_by_seed(entry: Entry) -> dict[str, tuple[tuple[int, ...], SeedOutcomes]]:
    """By task the training seeds, and the episodes that all of them measured."""
    rows = entry.rows[entry.rows["repeat"] == 0]
    measured = rows[rows["status"].isin([Status.SUCCESS, Status.FAILURE])]
    if measured["train_seed"].isna().any():
        return {}
    solved = measured.assign(solved=(measured["status"] == Status.SUCCESS).astype(float))
    found = {}
    for task, some in solved.groupby("task", sort=True):
        table = some.pivot_table(index="episode", columns="train_seed", values="solved").dropna()
        seeds = tuple(int(seed) for seed in table.columns)
        outcomes = SeedOutcomes(table.index.to_numpy(), table.to_numpy() > 0)
        found[str(task)] = (seeds, outcomes)
    return found


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
