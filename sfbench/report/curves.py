"""Success against training steps or demonstrations, and how much sooner one arm gets there.

A curve is taken to be non-decreasing (isotonic regression): without that, noise makes the first
crossing of a level come too early. Between kept points it is linear.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isinf

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from sfbench.errors import UsageError
from sfbench.report.intervals import (
    BOOTSTRAP_SEED,
    Estimate,
    suite_mean_over_seeds,
)
from sfbench.report.rate import Rate

RATIO_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Point:
    """One kept checkpoint, or one number of demonstrations.

    Attributes:
        x: training steps or demonstrations.
        seeds: per training seed the rates by task.
    """

    x: int
    seeds: Sequence[Mapping[str, Rate]]

    @property
    def estimate(self) -> Estimate:
        """Mean over tasks and seeds, with its interval."""
        return suite_mean_over_seeds(self.seeds)


@dataclass(frozen=True, slots=True)
class Curve:
    """One arm's points, by increasing x."""

    arm: str
    points: Sequence[Point]

    @property
    def xs(self) -> NDArray[np.float64]:
        """Steps or demonstrations, float64 [X]."""
        return np.array([point.x for point in self.points], np.float64)

    @property
    def means(self) -> NDArray[np.float64]:
        """Suite means, float64 [X]."""
        return np.array([point.estimate.value for point in self.points])


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times fewer steps (or demonstrations) an arm needs than a baseline.

    Attributes:
        baseline: its arm.
        arm: the compared one.
        level: success that both have to reach.
        level_is_final: it is what the baseline ends with, drawn anew in each resample.
        baseline_x: where the baseline reaches it; infinite if never.
        arm_x: where the arm does.
        ratio: baseline_x / arm_x, with a 95 % bootstrap interval over seeds and episodes.
        censored: what limits the statement: '' or why a bound is open.
        train_seeds: of baseline and arm.
    """

    baseline: str
    arm: str
    level: float
    level_is_final: bool
    baseline_x: float
    arm_x: float
    ratio: Estimate
    censored: str
    train_seeds: tuple[int, int]


def first_reach(xs: NDArray[np.float64], ys: NDArray[np.float64], level: float) -> float:
    """Where the non-decreasing curve through the points first reaches a level.

    Infinite if it never does; the first x if it starts above (it may have been there sooner).
    """
    smooth = np.asarray(isotonic_regression(ys).x)
    above = np.flatnonzero(smooth >= level - 1e-12)
    if not len(above):
        return inf
    index = int(above[0])
    if index == 0 or smooth[index] == smooth[index - 1]:
        return float(xs[index])
    share = (level - smooth[index - 1]) / (smooth[index] - smooth[index - 1])
    return float(xs[index - 1] + share * (xs[index] - xs[index - 1]))


def final_level(ys: NDArray[np.float64]) -> float:
    """The success that a curve ends with, as smoothed."""
    return float(isotonic_regression(ys).x[-1])


def speed_up(baseline: Curve, arm: Curve, level: float | None) -> Ratio:
    """The ratio at one level of success; None: at what the baseline ends with.

    Raises:
        UsageError: a curve of fewer than two points.
    """
    for curve in (baseline, arm):
        if len(curve.points) < 2:
            raise UsageError(f"arm '{curve.arm}' has one point; a curve needs two or more")
    random = np.random.default_rng(BOOTSTRAP_SEED)
    pairs = zip(_draws(baseline, random), _draws(arm, random), strict=True)
    drawn = [_reaches((baseline, arm), ys, level) for ys in pairs]
    ratios = np.array([_ratio(*reached) for reached in drawn])
    low, high = np.quantile(ratios, [0.025, 0.975], method="closest_observation")
    reached = _reaches((baseline, arm), (baseline.means, arm.means), level)
    return Ratio(
        baseline.arm,
        arm.arm,
        final_level(baseline.means) if level is None else level,
        level is None,
        *reached,
        Estimate(_ratio(*reached), float(low), float(high)),
        _censored(baseline, arm, reached),
        (_seed_count(baseline), _seed_count(arm)),
    )


def _reaches(
    curves: tuple[Curve, Curve],
    ys: tuple[NDArray[np.float64], NDArray[np.float64]],
    level: float | None,
) -> tuple[float, float]:
    wanted = final_level(ys[0]) if level is None else level
    return first_reach(curves[0].xs, ys[0], wanted), first_reach(curves[1].xs, ys[1], wanted)


def _ratio(baseline_x: float, arm_x: float) -> float:
    if isinf(arm_x):
        return 1.0 if isinf(baseline_x) else 0.0
    return baseline_x / arm_x


def _censored(baseline: Curve, arm: Curve, reached: Sequence[float]) -> str:
    notes = []
    for curve, x in zip((baseline, arm), reached, strict=True):
        if isinf(x):
            notes.append(f"{curve.arm} never reaches it")
        elif x == curve.xs[0]:
            notes.append(f"{curve.arm} is there at its first point")
    return "; ".join(notes)


def _seed_count(curve: Curve) -> int:
    return min(len(point.seeds) for point in curve.points)


def _draws(curve: Curve, random: np.random.Generator) -> NDArray[np.float64]:
    """Resampled curves [draws, X]: seeds with replacement, rates from their Jeffreys posterior.

    A seed is drawn for the whole curve, since its points are one training run's.
    """
    count = _seed_count(curve)
    chosen = random.integers(count, size=(RATIO_DRAWS, count))
    columns = []
    for point in curve.points:
        tasks = sorted(point.seeds[0])
        k = np.array([[seed[task].successes for task in tasks] for seed in point.seeds[:count]])
        n = np.array([[seed[task].n for task in tasks] for seed in point.seeds[:count]])
        drawn = random.beta(k[chosen] + 0.5, (n - k)[chosen] + 0.5)
        columns.append(drawn.mean(axis=(1, 2)))
    return np.stack(columns, axis=1)
