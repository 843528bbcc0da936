"""Two policies, or many, against each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from sfbench.errors import UsageError
from sfbench.report.intervals import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, Estimate
from sfbench.report.rate import wilson_bounds


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Episodes that two policies both played, of one task.

    Attributes:
        both: solved by both.
        first_only: solved by the first alone.
        second_only: solved by the second alone.
        neither: solved by none.
    """

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def n(self) -> int:
        """All shared episodes."""
        return self.both + self.first_only + self.second_only + self.neither


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Measured episodes of one policy and task.

    Attributes:
        episodes: their numbers, int [N], each once.
        solved: bool [N].
    """

    episodes: NDArray[np.int64]
    solved: NDArray[np.bool_]


def count_pairs(first: Outcomes, second: Outcomes) -> PairCounts:
    """Compare by episode; episodes that one lacks are left out."""
    _, one, two = np.intersect1d(
        first.episodes, second.episodes, assume_unique=True, return_indices=True
    )
    left, right = first.solved[one], second.solved[two]
    return PairCounts(
        both=int((left & right).sum()),
        first_only=int((left & ~right).sum()),
        second_only=int((~left & right).sum()),
        neither=int((~left & ~right).sum()),
    )


def mcnemar_exact(first_only: int, second_only: int) -> float:
    """Two-sided p of the exact McNemar test: are the discordant episodes a fair coin's?"""
    discordant = first_only + second_only
    if discordant == 0:
        return 1.0
    return min(1.0, 2 * float(binom.cdf(min(first_only, second_only), discordant, 0.5)))


def paired_difference(tasks: Mapping[str, PairCounts], confidence: float = 0.95) -> Estimate:
    """Difference of the suite means on shared episodes, first minus second.

    A bootstrap of episodes within each task; it has no width where no episode is discordant.

    Raises:
        UsageError: no task, or one without shared episodes.
    """
    empty = [name for name, counts in tasks.items() if not counts.n]
    if empty or not tasks:
        raise UsageError(f"no shared episodes: {', '.join(empty) or '(no task)'}")
    random = np.random.default_rng(BOOTSTRAP_SEED)
    total = np.zeros(BOOTSTRAP_DRAWS)
    value = 0.0
    for name in sorted(tasks):
        counts = tasks[name]
        rest = counts.both + counts.neither
        shares = np.array([counts.first_only, counts.second_only, rest]) / counts.n
        drawn = random.multinomial(counts.n, shares, size=BOOTSTRAP_DRAWS)
        total += (drawn[:, 0] - drawn[:, 1]) / counts.n
        value += (counts.first_only - counts.second_only) / counts.n
    low, high = np.quantile(total / len(tasks), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value / len(tasks), float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values over a family of tests (Holm 1979), in the given order."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def ranks(better: Sequence[tuple[int, int]], count: int) -> list[int]:
    """1 + the number of policies that are better.

    Args:
        better: pairs (winner, loser) that hold after correction.
        count: how many policies there are, numbered from 0.
    """
    return [1 + sum(loser == index for _, loser in set(better)) for index in range(count)]


def all_pairs(count: int) -> list[tuple[int, int]]:
    """Every pair of `count` policies, once."""
    return list(combinations(range(count), 2))


def detectable_difference(
    rate: float, n: int, confidence: float = 0.95, power: float = 0.8
) -> float:
    """Smallest gain over `rate` that two independent runs of n episodes tell apart.

    Two-sided z-test of two proportions with unpooled variance under the alternative (Fleiss).
    1.0 - rate is returned where even that is not enough.
    """
    low, high = 0.0, 1.0 - rate
    if episodes_needed(rate, high, confidence, power) > n:
        return high
    for _ in range(60):
        middle = (low + high) / 2
        enough = episodes_needed(rate, middle, confidence, power) <= n
        low, high = (low, middle) if enough else (middle, high)
    return high


def episodes_needed(rate: float, gain: float, confidence: float = 0.95, power: float = 0.8) -> int:
    """Episodes that each of two runs needs to tell `rate` from `rate + gain`.

    Raises:
        UsageError: gain of 0 or less, or rates outside [0, 1].
    """
    other = rate + gain
    if not (0 <= rate <= 1 and rate < other <= 1 + 1e-12):
        raise UsageError(f"rate {rate} and gain {gain}: allowed 0 <= rate < rate + gain <= 1")
    other = min(other, 1.0)
    mean = (rate + other) / 2
    z_test = NormalDist().inv_cdf(0.5 + confidence / 2)
    z_power = NormalDist().inv_cdf(power)
    spread = z_test * sqrt(2 * mean * (1 - mean)) + z_power * sqrt(
        rate * (1 - rate) + other * (1 - other)
    )
    return max(1, ceil((spread / gain) ** 2)) if gain > 1e-9 else 10**12


@dataclass(frozen=True, slots=True)
class Flips:
    """How often a repeated episode ends differently.

    Attributes:
        rate: share of pairs of repeats of one episode that end differently, averaged over
            episodes; Wilson's interval over episodes, which is too wide rather than too narrow
            where episodes have more than two repeats.
        episodes: how many were played more than once.
    """

    rate: Estimate
    episodes: int


def flip_rate(played: NDArray[np.int64], solved: NDArray[np.int64]) -> Flips:
    """Outcome flip rate over repeats.

    Args:
        played: how often each episode was measured, int [N]; once does not count.
        solved: how often it was solved, int [N].

    Raises:
        UsageError: no episode was repeated.
    """
    repeated = played > 1
    if not repeated.any():
        raise UsageError("no episode was played twice; use repeats=2 or more")
    n, k = played[repeated].astype(float), solved[repeated].astype(float)
    rate = float(np.mean(2 * k * (n - k) / (n * (n - 1))))
    return Flips(Estimate(rate, *wilson_bounds(rate, len(n))), len(n))
