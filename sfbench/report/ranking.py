"""Who is better than whom, with how much certainty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import pandas as pd
from scipy.stats import t

from sfbench.contracts import Cause, Status
from sfbench.report.comparison import (
    Outcomes,
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
    """Two entries of one section, on the tasks that both were to play.

    Attributes:
        first: the one that does better on these tasks.
        second: the other.
        tasks: their names.
        shared: episodes that both played and that count for both, of each training seed where
            both were trained with the same; 0 for an unpaired comparison.
        discordant: of these, solved by the first alone, and by the second alone.
        gap: difference of the suite means, first minus second.
        p: of exact McNemar where paired and of one training seed, else the one that goes with the
            interval of the difference.
        p_holm: corrected for all pairs of the table.
    """

    first: Entry
    second: Entry
    tasks: Sequence[str]
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
class _Played:
    """What an entry played that counts, ready to be compared.

    Attributes:
        entry: the line.
        alone: outcomes by task of an entry of one training seed; else empty.
        seeded: by task the training seeds and their outcomes, of an entry of several; else empty.
    """

    entry: Entry
    alone: Mapping[str, Outcomes]
    seeded: Mapping[str, tuple[tuple[int, ...], SeedOutcomes]]


@dataclass(frozen=True, slots=True)
class _Test:
    shared: int
    discordant: tuple[int, int]
    gap: Estimate
    p: float

    @property
    def turned(self) -> "_Test":
        """As seen from the other side."""
        gap = Estimate(-self.gap.value, -self.gap.high, -self.gap.low)
        return _Test(self.shared, self.discordant[::-1], gap, self.p)


def compare_all(entries: Sequence[Entry]) -> list[Pair]:
    """Every pair of a section's entries that have a mean and a task in common, best first."""
    played = [_played(entry) for entry in entries if entry.mean is not None]
    found = []
    for one, two in all_pairs(len(played)):
        first, second = played[one], played[two]
        tasks = sorted(first.entry.tasks.keys() & second.entry.tasks.keys())
        if not tasks:
            continue
        test = _test(first, second, tasks)
        if test.gap.value < 0:
            first, second, test = second, first, test.turned
        found.append(
            Pair(first.entry, second.entry, tasks, test.shared, test.discordant, test.gap,
                 p=test.p, p_holm=test.p)
        )  # fmt: skip
    return corrected(found)


def corrected(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs of one table, with p-values that Holm corrects for all of them."""
    adjusted = holm([pair.p for pair in pairs])
    return [replace(pair, p_holm=p) for pair, p in zip(pairs, adjusted, strict=True)]


def gain(first: Entry, second: Entry) -> Estimate | None:
    """Success of the first minus that of the second; None where they cannot be compared."""
    pairs = compare_all([first, second])
    if not pairs:
        return None
    gap = pairs[0].gap
    return gap if pairs[0].first is first else Estimate(-gap.value, -gap.high, -gap.low)


def rank_of(entries: Sequence[Entry], pairs: Sequence[Pair]) -> dict[int, int]:
    """Rank by `id` of the entry: 1 + how many are better after correction."""
    place = {id(entry): index for index, entry in enumerate(entries)}
    better = [(place[id(pair.first)], place[id(pair.second)]) for pair in pairs if pair.decided]
    numbers = ranks(better, len(entries))
    return {key: numbers[index] for key, index in place.items()}


def _played(entry: Entry) -> _Played:
    several = len(entry.seeds) > 1
    # Who knows which of the planned episodes are lacking: without pairs they count as unsolved.
    if entry.total.missing:
        return _Played(entry, {}, {})
    return _Played(
        entry,
        {} if several else outcomes_by_task(entry),
        outcomes_by_seed(entry) if several else {},
    )


def _test(first: _Played, second: _Played, tasks: Sequence[str]) -> _Test:
    """Paired, by training seed where there are several, if they share episodes of each task."""
    return (
        _test_of_seeds(first.seeded, second.seeded, tasks)
        or _test_of_episodes(first.alone, second.alone, tasks)
        or _unpaired(first.entry, second.entry, tasks)
    )


def _test_of_episodes(
    first: Mapping[str, Outcomes], second: Mapping[str, Outcomes], tasks: Sequence[str]
) -> _Test | None:
    if any(task not in first or task not in second for task in tasks):
        return None
    counts = {task: count_pairs(first[task], second[task]) for task in tasks}
    if not all(some.n for some in counts.values()):
        return None
    wins = sum(some.first_only for some in counts.values())
    losses = sum(some.second_only for some in counts.values())
    shared = sum(some.n for some in counts.values())
    return _Test(shared, (wins, losses), paired_difference(counts), mcnemar_exact(wins, losses))


_OfSeeds = Mapping[str, tuple[tuple[int, ...], SeedOutcomes]]


def _test_of_seeds(first: _OfSeeds, second: _OfSeeds, tasks: Sequence[str]) -> _Test | None:
    """Paired by training seed and episode: its spread over seeds counts, so no McNemar."""
    if any(task not in first or task not in second for task in tasks):
        return None
    seeds = {one[task][0] for one in (first, second) for task in tasks}
    if len(seeds) > 1:
        return None
    differences = {task: seed_differences(first[task][1], second[task][1]) for task in tasks}
    if not all(len(differences_ES) for differences_ES in differences.values()):
        return None
    test = paired_over_seeds(differences)
    wins, losses = (
        sum(int((differences_ES == sign).sum()) for differences_ES in differences.values())
        for sign in (1, -1)
    )
    shared = sum(differences_ES.size for differences_ES in differences.values())
    return _Test(shared, (wins, losses), test.gap, test.p)


def _unpaired(first: Entry, second: Entry, tasks: Sequence[str]) -> _Test:
    means = first.mean_of(tasks), second.mean_of(tasks)
    assert means[0] is not None
    assert means[1] is not None
    gap = difference(means[0], means[1])
    several = [len(entry.seeds) for entry in (first, second) if len(entry.seeds) > 1]
    return _Test(0, (0, 0), gap, _p_of(gap, min(several) - 1 if several else None))


def outcomes_by_seed(entry: Entry) -> dict[str, tuple[tuple[int, ...], SeedOutcomes]]:
    """By task the training seeds, and the episodes that count for all of them."""
    rows = _counting(entry)
    if rows["train_seed"].isna().any():
        return {}
    found = {}
    for task, some in rows.groupby("task", sort=True):
        table = some.pivot_table(index="episode", columns="train_seed", values="solved").dropna()
        seeds = tuple(int(seed) for seed in table.columns)
        outcomes = SeedOutcomes(table.index.to_numpy(), table.to_numpy() > 0)
        found[str(task)] = (seeds, outcomes)
    return found


def outcomes_by_task(entry: Entry) -> dict[str, Outcomes]:
    """What counts for an entry of one training seed."""
    return {
        str(task): Outcomes(rows["episode"].to_numpy(), rows["solved"].to_numpy() > 0)
        for task, rows in _counting(entry).groupby("task", sort=True)
    }


def _counting(entry: Entry) -> pd.DataFrame:
    """Rows that count in `Entry.mean`, the first of repeats, with a column `solved` of 0 and 1.

    As in the strict rate, errors of the policy and invalid episodes are unsolved ones.
    """
    rows = entry.rows[entry.rows["repeat"] == 0]
    status = rows["status"]
    counts = status.isin([Status.SUCCESS, Status.FAILURE, Status.INVALID])
    counts |= (status == Status.ERROR) & (rows["cause"] == Cause.POLICY)
    counting = rows[counts]
    return counting.assign(solved=(counting["status"] == Status.SUCCESS).astype(float))


def _p_of(gap: Estimate, degrees: int | None) -> float:
    """Two-sided p of a difference whose 95 % interval is known on both sides.

    Args:
        gap: the difference.
        degrees: of freedom of Student's distribution that the interval comes from, where it comes
            from training seeds.
    """
    reach = gap.value - gap.low if gap.value > 0 else gap.high - gap.value
    if reach <= 0:
        return 1.0 if gap.value == 0 else 0.0
    if degrees is None:
        z = abs(gap.value) / (reach / NormalDist().inv_cdf(0.975))
        return 2 * (1 - NormalDist().cdf(z))
    return 2 * float(t.sf(abs(gap.value) / reach * t.ppf(0.975, degrees), degrees))
