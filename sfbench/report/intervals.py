"""Success rates and their intervals: of one task, and of a suite's mean.

All functions are pure and deterministic; rates are in [0, 1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean, stdev

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, t

from sfbench.errors import UsageError
from sfbench.report.rate import Rate, check_counts, wilson, wilson_bounds

_Z_95 = NormalDist().inv_cdf(0.975)

BOOTSTRAP_DRAWS = 10_000
BOOTSTRAP_SEED = 0
"""Fixed, so that equal rows give equal tables."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with an interval."""

    value: float
    low: float
    high: float


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Rate:
    """The exact interval (Clopper and Pearson 1934): covers at least as often as it says.

    Raises:
        UsageError: as for `wilson`.
    """
    check_counts(successes, n, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes == n else float(beta.ppf(1 - tail, successes + 1, n - successes))
    return Rate(successes, n, low, high)


def suite_mean(tasks: Mapping[str, Rate], design_effect: float = 1.0) -> Estimate:
    """Unweighted mean over a fixed set of tasks.

    The interval says how far the mean would move with other initial states of the *same* tasks. It
    combines the tasks' own intervals by the method of variance estimates recovery (MOVER; Zou and
    Donner 2008), which keeps its coverage near 0 and 1, where a bootstrap has no width. A task's
    part is never below that of the unbiased variance p (1 - p) / (n - 1): Wilson's interval is
    narrower than that around a rate near 1/2, since it is centred elsewhere, and the sum over many
    short tasks would cover too rarely (measured: 92 % for 10 tasks of 10 episodes).

    Args:
        tasks: rates by task.
        design_effect: how many episodes count as one where several share an initial state (Kish
            1965), 1 or more; see `design_effect`.

    Raises:
        UsageError: no task, or a task without episodes.
    """
    rates = _measured(tasks)
    mean = fmean(rate.value for rate in rates)
    sides = [_squared_sides(rate.value, rate.n / design_effect) for rate in rates]
    below, above = (sqrt(sum(side)) for side in zip(*sides, strict=True))
    return Estimate(mean, max(0.0, mean - below / len(rates)), min(1.0, mean + above / len(rates)))


def suite_mean_over_seeds(
    seeds: Sequence[Mapping[str, Rate]], design_effect: float = 1.0, confidence: float = 0.95
) -> Estimate:
    """Mean over fixed tasks and over training seeds, which each gave one policy.

    With several seeds the interval is Student's over the seeds' means (it contains the noise of
    episodes as well), or the one for pooled episodes where that is wider.

    Raises:
        UsageError: no seed, or as for `suite_mean`.
    """
    pooled = suite_mean(_pool(seeds), design_effect)
    if len(seeds) == 1:
        return pooled
    means = [suite_mean(tasks).value for tasks in seeds]
    mean = fmean(means)
    quantile = float(t.ppf(0.5 + confidence / 2, len(means) - 1))
    half = quantile * stdev(means) / sqrt(len(means))
    low = min(pooled.low, max(0.0, mean - half))
    return Estimate(mean, low, max(pooled.high, min(1.0, mean + half)))


def suite_mean_over_tasks(tasks: Mapping[str, Rate], confidence: float = 0.95) -> Estimate:
    """The mean with the tasks themselves resampled: as if they were drawn from many like them.

    A bootstrap over tasks; within a drawn task the rate is drawn from its Jeffreys posterior
    Beta(k + 1/2, n - k + 1/2). Much wider than `suite_mean`'s for few tasks.

    Raises:
        UsageError: as for `suite_mean`.
    """
    rates = _measured(tasks)
    random = np.random.default_rng(BOOTSTRAP_SEED)
    k = np.array([rate.successes for rate in rates])
    n = np.array([rate.n for rate in rates])
    drawn = random.integers(len(rates), size=(BOOTSTRAP_DRAWS, len(rates)))
    means = random.beta(k[drawn] + 0.5, (n - k)[drawn] + 0.5).mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    mean = fmean(rate.value for rate in rates)
    return Estimate(mean, min(mean, float(low)), max(mean, float(high)))


def difference(one: Estimate, two: Estimate) -> Estimate:
    """`one - two` of independent estimates, by MOVER (Newcombe's hybrid score for two rates)."""
    value = one.value - two.value
    below = sqrt((one.value - one.low) ** 2 + (two.high - two.value) ** 2)
    above = sqrt((one.high - one.value) ** 2 + (two.value - two.low) ** 2)
    return Estimate(value, max(-1.0, value - below), min(1.0, value + above))


def design_effect(
    n_C: NDArray[np.int64], k_C: NDArray[np.int64], task_C: NDArray[np.int64]
) -> float:
    """By how much the variance of a mean grows because episodes come in clusters.

    Repeats of one initial state, or several training seeds on it, are no independent episodes. The
    ratio of the clusters' variance to that of independent episodes, pooled over tasks, within 1 and
    the mean size of a cluster; the latter where all episodes of all tasks end alike, since then
    nothing tells how far they are independent.

    Args:
        n_C: measured episodes of each initial state, 1 or more.
        k_C: the solved ones.
        task_C: number of its task.
    """
    clustered = independent = 0.0
    for task in np.unique(task_C):
        n, k = n_C[task_C == task].astype(float), k_C[task_C == task].astype(float)
        total, count = n.sum(), len(n)
        if count < 2:
            continue
        p = k.sum() / total
        clustered += count / (count - 1) * float(((k - n * p) ** 2).sum()) / total**2
        independent += p * (1 - p) / (total - 1)
    largest = float(n_C.mean())
    return min(max(clustered / independent, 1.0), largest) if independent else largest


def _squared_sides(p: float, n: float) -> tuple[float, float]:
    """Squared distances of a 95 % interval's ends from the rate."""
    low, high = wilson_bounds(p, n)
    spread = _Z_95**2 * p * (1 - p) / (n - 1) if n >= 2 else 0.0
    return max((p - low) ** 2, spread), max((high - p) ** 2, spread)


def _measured(tasks: Mapping[str, Rate]) -> list[Rate]:
    empty = [name for name, rate in tasks.items() if not rate.n]
    if empty or not tasks:
        raise UsageError(f"no mean over tasks without episodes: {', '.join(empty) or '(no task)'}")
    return [tasks[name] for name in sorted(tasks)]


def _pool(seeds: Sequence[Mapping[str, Rate]]) -> dict[str, Rate]:
    if not seeds:
        raise UsageError("no mean without training seeds")
    names = sorted({name for tasks in seeds for name in tasks})
    return {
        name: wilson(
            sum(tasks[name].successes for tasks in seeds if name in tasks),
            sum(tasks[name].n for tasks in seeds if name in tasks),
        )
        for name in names
    }
