"""Success rates and their intervals: of one task, and of a suite's mean.

All functions are pure and deterministic; rates are in [0, 1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean, stdev

import numpy as np
from scipy.stats import beta, t

from sfbench.errors import UsageError
from sfbench.report.rate import Rate, check_counts, wilson

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


def suite_mean(tasks: Mapping[str, Rate]) -> Estimate:
    """Unweighted mean over a fixed set of tasks.

    The interval says how far the mean would move with other initial states of the *same* tasks. It
    combines the tasks' own intervals by the method of variance estimates recovery (MOVER; Zou and
    Donner 2008), which keeps its coverage near 0 and 1, where a bootstrap has no width. A task's
    part is never below that of the unbiased variance p (1 - p) / (n - 1): Wilson's interval is
    narrower than that around a rate near 1/2, since it is centred elsewhere, and the sum over many
    short tasks would cover too rarely (measured: 92 % for 10 tasks of 10 episodes).

    Raises:
        UsageError: no task, or a task without episodes.
    """
    rates = _measured(tasks)
    mean = fmean(rate.value for rate in rates)
    below = sqrt(sum(max((rate.value - rate.low) ** 2, _spread(rate)) for rate in rates))
    above = sqrt(sum(max((rate.high - rate.value) ** 2, _spread(rate)) for rate in rates))
    return Estimate(mean, max(0.0, mean - below / len(rates)), min(1.0, mean + above / len(rates)))


def suite_mean_over_seeds(
    seeds: Sequence[Mapping[str, Rate]], confidence: float = 0.95
) -> Estimate:
    """Mean over fixed tasks and over training seeds, which each gave one policy.

    With several seeds the interval is Student's over the seeds' means (it contains the noise of
    episodes as well), or the one for pooled episodes where that is wider.

    Raises:
        UsageError: no seed, or as for `suite_mean`.
    """
    pooled = suite_mean(_pool(seeds))
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


def _spread(rate: Rate) -> float:
    """Squared half width of a 95 % interval from the unbiased variance of the rate."""
    if rate.n < 2:
        return 0.0
    return _Z_95**2 * rate.value * (1 - rate.value) / (rate.n - 1)


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
