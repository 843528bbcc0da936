"""Curves from leaderboard entries: which rows make which curve, and the tables behind them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sfbench.report.curves import Curve, Point, Ratio, speed_up
from sfbench.report.entries import Entry, final_entries
from sfbench.report.tables import percent, to_csv

CURVE_COLUMNS = (
    "suite", "card", "policy", "arm", "demos", "train_step", "mean_pct", "low_pct", "high_pct", "n",
    "train_seeds",
)  # fmt: skip
RATIO_COLUMNS = (
    "kind", "suite", "card", "policy", "baseline", "arm", "level_pct", "level_is_final",
    "baseline_x", "arm_x", "ratio", "low", "high", "censored", "baseline_seeds", "arm_seeds",
)  # fmt: skip
BASELINE_ARM = "baseline"
MATCHED_LEVELS = (0.5,)
"""Compared besides the baseline's final success."""


@dataclass(frozen=True, slots=True)
class CurveSet:
    """Curves that belong in one picture.

    Attributes:
        kind: `steps` or `demos`.
        suite: of all its rows.
        card: of all its rows.
        policy: of all its rows.
        curves: one an arm.
        entries: behind the curves.
    """

    kind: str
    suite: str
    card: str
    policy: str
    curves: Sequence[Curve]
    entries: Sequence[Entry]

    @property
    def ratios(self) -> list[Ratio]:
        """Each arm against the baseline, at its final success and at fixed levels."""
        by_arm = {curve.arm: curve for curve in self.curves if len(curve.points) > 1}
        baseline = by_arm.pop(BASELINE_ARM, None)
        if baseline is None:
            return []
        levels = (*MATCHED_LEVELS, None)
        return [speed_up(baseline, arm, level) for arm in by_arm.values() for level in levels]


def training_curves(entries: Sequence[Entry]) -> list[CurveSet]:
    """Success against training steps, at the largest number of demonstrations of each arm."""
    trained = [entry for entry in entries if entry.key.train_step >= 0]
    most: dict[tuple[str, ...], int] = {}
    for entry in trained:
        arm = (*_place(entry), entry.key.arm)
        most[arm] = max(entry.key.demos, most.get(arm, -1))
    full = [entry for entry in trained if entry.key.demos == most[*_place(entry), entry.key.arm]]
    return _curve_sets("steps", full, lambda entry: entry.key.train_step)


def data_curves(entries: Sequence[Entry]) -> list[CurveSet]:
    """Success against demonstrations, each after its last kept step."""
    final = [entry for entry in final_entries(entries) if entry.key.demos >= 0]
    return _curve_sets("demos", final, lambda entry: entry.key.demos)


def curves_csv(sets: Iterable[CurveSet]) -> str:
    """One line per point."""
    lines = []
    for group in sets:
        for entry in sorted(group.entries, key=lambda entry: entry.key):
            mean, key = entry.mean, entry.key
            bounds = (
                [percent(mean.value), percent(mean.low), percent(mean.high)] if mean else [""] * 3
            )
            lines.append(
                [key.suite, key.card, key.policy, key.arm, key.demos, key.train_step, *bounds,
                 entry.total.rate.n, len(entry.seeds)]
            )  # fmt: skip
    return to_csv(CURVE_COLUMNS, lines)


def ratios_csv(sets: Iterable[CurveSet]) -> str:
    """One line per arm and level."""
    lines = []
    for group in sets:
        for found in group.ratios:
            numbers = (found.baseline_x, found.arm_x, found.ratio.value, found.ratio.low,
                       found.ratio.high)  # fmt: skip
            lines.append(
                [group.kind, group.suite, group.card, group.policy, found.baseline, found.arm,
                 percent(found.level), str(found.level_is_final).lower(),
                 *(f"{number:.4g}" for number in numbers), found.censored, *found.train_seeds]
            )  # fmt: skip
    return to_csv(RATIO_COLUMNS, lines)


def _place(entry: Entry) -> tuple[str, str, str, str]:
    return entry.key.suite, entry.key.card, entry.key.policy, entry.key.preset


def _curve_sets(
    kind: str, entries: Iterable[Entry], x_of: Callable[[Entry], int]
) -> list[CurveSet]:
    """Sets with at least one curve of two points."""
    groups: dict[tuple[str, str, str, str], dict[str, list[Entry]]] = {}
    for entry in entries:
        if entry.mean is not None:
            groups.setdefault(_place(entry), {}).setdefault(entry.key.arm, []).append(entry)
    sets = []
    for (suite, card, policy, _), arms in sorted(groups.items()):
        curves = [
            Curve(arm, [Point(x_of(entry), entry.seeds) for entry in sorted(some, key=x_of)])
            for arm, some in sorted(arms.items())
        ]
        if any(len(curve.points) > 1 for curve in curves):
            members = [entry for some in arms.values() for entry in some]
            sets.append(CurveSet(kind, suite, card, policy, curves, members))
    return sets
