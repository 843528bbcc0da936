"""Two arms that were trained with the same seeds, paired by seed and by episode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from sfbench.errors import UsageError
from sfbench.report.intervals import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, Estimate


@dataclass(frozen=True, slots=True)
class SeedOutcomes:
    """Measured episodes of one arm and task, each played by every training seed.

    Attributes:
        episodes: their numbers, int [E], each once and ascending.
        solved_ES: bool [E, S]; columns by ascending seed.
    """

    episodes: NDArray[np.int64]
    solved_ES: NDArray[np.bool_]


def seed_differences(first: SeedOutcomes, second: SeedOutcomes) -> NDArray[np.int64]:
    """-1, 0 or 1 for each shared episode and seed, first minus second, int64 [E, S]."""
    _, one, two = np.intersect1d(
        first.episodes, second.episodes, assume_unique=True, return_indices=True
    )
    return first.solved_ES[one].astype(np.int64) - second.solved_ES[two].astype(np.int64)


@dataclass(frozen=True, slots=True)
class SeedTest:
    """A difference of suite means, with its interval and the two-sided p that goes with it."""

    gap: Estimate
    p: float


def paired_over_seeds(tasks: Mapping[str, NDArray[np.int64]], confidence: float = 0.95) -> SeedTest:
    """Difference of the suite means over tasks, episodes and training seeds.

    The interval is the wider one of two, on each side: Student's over the seeds' differences, which
    says what other trainings would give, and a bootstrap over episodes, of which an episode with
    all its seeds is one, which says what other initial states would. p is the larger one of theirs,
    so that it is below 5 % where the 95 % interval leaves out 0, and only there.

    Args:
        tasks: by task the differences of `seed_differences`, int64 [E, S], S of 2 or more.
        confidence: of the interval.

    Raises:
        UsageError: no task, or one without shared episodes.
    """
    empty = [name for name, differences_ES in tasks.items() if not len(differences_ES)]
    if empty or not tasks:
        raise UsageError(f"no shared episodes: {', '.join(empty) or '(no task)'}")
    ordered = [tasks[name] for name in sorted(tasks)]
    seeds = np.mean([differences_ES.mean(axis=0) for differences_ES in ordered], axis=0).tolist()
    value = fmean(seeds)
    spread = stdev(seeds) / sqrt(len(seeds))
    half = float(t.ppf(0.5 + confidence / 2, len(seeds) - 1)) * spread
    drawn = _resampled_means(ordered)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    gap = Estimate(
        value,
        max(-1.0, min(value - half, float(low))),
        min(1.0, max(value + half, float(high))),
    )
    return SeedTest(gap, max(_students_p(value, spread, len(seeds)), _resampled_p(drawn)))


def _students_p(value: float, spread: float, seeds: int) -> float:
    if spread == 0:
        return 0.0 if value else 1.0
    return 2 * float(t.sf(abs(value) / spread, seeds - 1))


def _resampled_p(drawn: NDArray[np.float64]) -> float:
    """Twice the share of resamples on the far side of 0; never 0, however few they are."""
    less = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (less + 1) / (len(drawn) + 1))


def _resampled_means(tasks: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Means over tasks with episodes drawn anew within each, float64 [draws]."""
    random = np.random.default_rng(BOOTSTRAP_SEED)
    total = np.zeros(BOOTSTRAP_DRAWS)
    for differences_ES in tasks:
        count, seeds = differences_ES.shape
        sums, frequency = np.unique(differences_ES.sum(axis=1), return_counts=True)
        drawn = random.multinomial(count, frequency / count, size=BOOTSTRAP_DRAWS)
        total += drawn @ sums / (count * seeds)
    return total / len(tasks)
