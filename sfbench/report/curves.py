"""Success against training steps or demonstrations, and how much sooner one arm gets there.

A curve is taken to be non-decreasing (isotonic regression): without that, noise makes the first
crossing of a level come too early. Between kept points it is linear.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isinf, nan

import numpy as np
from numpy.typing import NDArray

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
        seeds: by training seed the rates by task.
        design_effect: of episodes that share an initial state.
    """

    x: int
    seeds: Mapping[int, Mapping[str, Rate]]
    design_effect: float = 1.0

    @property
    def estimate(self) -> Estimate:
        """Mean over tasks and seeds, with its interval."""
        return suite_mean_over_seeds([*self.seeds.values()], self.design_effect)


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

    @property
    def shared_seeds(self) -> list[int]:
        """Training seeds that every point has."""
        return sorted(set.intersection(*(set(point.seeds) for point in self.points)))

    @property
    def of_shared_seeds(self) -> "Curve":
        """The same of those training seeds alone that every point has."""
        seeds = self.shared_seeds
        return Curve(
            self.arm,
            [replace(point, seeds={s: point.seeds[s] for s in seeds}) for point in self.points],
        )


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
        ratio: baseline_x / arm_x, with a 95 % bootstrap interval over seeds and episodes; an open
            side is 0 or infinite, and the value is NaN where nothing is known.
        bound: how the value is to be read: '' as it stands, `at least`, `at most`, or `unknown`.
        censored: why it is only a bound, or ''.
        train_seeds: of baseline and arm; only those count that all points of a curve have.
    """

    baseline: str
    arm: str
    level: float
    level_is_final: bool
    baseline_x: float
    arm_x: float
    ratio: Estimate
    bound: str
    censored: str
    train_seeds: tuple[int, int]


def monotone(ys_DX: NDArray[np.float64]) -> NDArray[np.float64]:
    """Isotonic regression of D curves at once, each the non-decreasing one nearest to its points.

    By the max-min formula (Barlow and others 1972): at k the greatest, over starts i <= k, of the
    least mean of the points i to j, over ends j >= k.
    """
    smooth = np.empty_like(ys_DX)
    count = ys_DX.shape[1]
    sums = np.cumsum(np.pad(ys_DX, ((0, 0), (1, 0))), axis=1)
    ends = np.arange(1, count + 1)
    best = np.full_like(ys_DX, -inf)
    for start in range(count):
        means = (sums[:, start + 1 :] - sums[:, start, None]) / (ends[start:] - start)
        least = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
        best[:, start:] = np.maximum(best[:, start:], least)
        smooth[:, start] = best[:, start]
    return smooth


def first_reach(
    xs: NDArray[np.float64], smooth_DX: NDArray[np.float64], levels_D: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where each of D non-decreasing curves first reaches its level, float64 [D].

    Infinite if it never does; the first x if it starts above (it may have been there sooner).
    """
    above = smooth_DX >= levels_D[:, None] - 1e-12
    index = np.argmax(above, axis=1)
    rows = np.arange(len(smooth_DX))
    left = np.maximum(index - 1, 0)
    below, reached = smooth_DX[rows, left], smooth_DX[rows, index]
    rise = np.where(reached > below, reached - below, 1.0)
    share = np.where(reached > below, np.clip((levels_D - below) / rise, 0, 1), 1.0)
    found = xs[left] + share * (xs[index] - xs[left])
    return np.where(above.any(axis=1), found, inf)


def speed_ups(baseline: Curve, arm: Curve, levels: Sequence[float | None]) -> list[Ratio]:
    """The ratio at each level of success; None: at what the baseline ends with.

    Raises:
        UsageError: a curve of fewer than two points, or that no training seed has all points of.
    """
    for curve in (baseline, arm):
        if len(curve.points) < 2:
            raise UsageError(f"arm '{curve.arm}' has one point; a curve needs two or more")
        if not curve.shared_seeds:
            raise UsageError(f"arm '{curve.arm}': no training seed was measured at all its points")
    curves = (baseline.of_shared_seeds, arm.of_shared_seeds)
    random = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = [monotone(_draws(curve, random)) for curve in curves]
    found = [monotone(curve.means[None]) for curve in curves]
    return [_ratio(curves, found, drawn, level) for level in levels]


def _ratio(
    curves: tuple[Curve, Curve],
    found: Sequence[NDArray[np.float64]],
    drawn: Sequence[NDArray[np.float64]],
    level: float | None,
) -> Ratio:
    """From smoothed curves of baseline and arm: as measured [1, X], and resampled [D, X]."""
    low, high = _ratio_bounds(curves, _reaches(curves, drawn, level))
    reached = _reaches(curves, found, level)
    least, most = (float(bound[0]) for bound in _ratio_bounds(curves, reached))
    value, bound = _value(least, most)
    return Ratio(
        curves[0].arm,
        curves[1].arm,
        float(found[0][0, -1]) if level is None else level,
        level is None,
        float(reached[0][0]),
        float(reached[1][0]),
        Estimate(
            value,
            float(np.quantile(low, 0.025, method="closest_observation")),
            float(np.quantile(high, 0.975, method="closest_observation")),
        ),
        bound,
        _censored(curves, [float(x[0]) for x in reached]),
        (len(curves[0].shared_seeds), len(curves[1].shared_seeds)),
    )


_Arrivals = tuple[NDArray[np.float64], NDArray[np.float64]]


def _reaches(
    curves: tuple[Curve, Curve], smooth: Sequence[NDArray[np.float64]], level: float | None
) -> _Arrivals:
    """Where baseline and arm arrive, each float64 [D]."""
    base, other = smooth
    levels = base[:, -1] if level is None else np.full(len(base), level)
    return first_reach(curves[0].xs, base, levels), first_reach(curves[1].xs, other, levels)


def _ratio_bounds(curves: tuple[Curve, Curve], reached: _Arrivals) -> _Arrivals:
    """What the arrivals of baseline and arm leave open: lowest and highest possible ratios.

    A curve that never arrives does so somewhere after its last point; one that starts at the level
    may have been there at any time before its first.
    """
    base_low, arm_low = (
        np.where(np.isinf(x), curve.xs[-1], np.where(x == curve.xs[0], 0.0, x))
        for curve, x in zip(curves, reached, strict=True)
    )
    base_high, arm_high = reached
    early = arm_low == 0
    return base_low / arm_high, np.where(early, inf, base_high / np.where(early, 1.0, arm_low))


def _value(low: float, high: float) -> tuple[float, str]:
    if low == high:
        return low, ""
    if isinf(high):
        return (low, "at least") if low > 0 else (nan, "unknown")
    return high, "at most"


def _censored(curves: tuple[Curve, Curve], reached: Sequence[float]) -> str:
    notes = []
    for curve, x in zip(curves, reached, strict=True):
        if isinf(x):
            notes.append(f"{curve.arm} never reaches it")
        elif x == curve.xs[0]:
            notes.append(f"{curve.arm} is there at its first point")
    return "; ".join(notes)


def _draws(curve: Curve, random: np.random.Generator) -> NDArray[np.float64]:
    """Resampled curves [draws, X]: seeds with replacement, rates from their Jeffreys posterior.

    All points have the same seeds. A seed is drawn for the whole curve, since its points are one
    training run's. Episodes that share an initial state count for fewer.
    """
    count = len(curve.shared_seeds)
    chosen = random.integers(count, size=(RATIO_DRAWS, count))
    columns = []
    for point in curve.points:
        means = np.empty((RATIO_DRAWS, count))
        for place, rates in enumerate(point.seeds.values()):
            # A seed may have been evaluated on tasks of its own.
            k = np.array([rates[task].successes for task in sorted(rates)]) / point.design_effect
            n = np.array([rates[task].n for task in sorted(rates)]) / point.design_effect
            drawn = random.beta(k + 0.5, n - k + 0.5, size=(RATIO_DRAWS, len(k)))
            means[:, place] = drawn.mean(axis=1)
        columns.append(np.take_along_axis(means, chosen, axis=1).mean(axis=1))
    return np.stack(columns, axis=1)
