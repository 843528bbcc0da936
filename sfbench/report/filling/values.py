"""The single numbers that a sentence may hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isinf

import numpy as np

from sfbench.errors import UnknownNameError, UsageError
from sfbench.report.curves import Curve, Ratio, first_reach, monotone, speed_ups
from sfbench.report.filling.selection import ENTRY_FIELDS, Asked
from sfbench.report.filling.tables import PROBE_FIELDS, column, probe_groups, read_csv
from sfbench.report.probe import METRICS
from sfbench.report.ranking import gain
from sfbench.report.summaries import arrival, ratio_text
from sfbench.report.tables import percent, span
from sfbench.report.training import CurveSet

FINAL = "final"


@dataclass(frozen=True, slots=True)
class ValueKind:
    """A number that a block may ask for.

    Attributes:
        options: that its mark may have.
        make: its text.
    """

    options: Sequence[str]
    make: Callable[[Asked], str]


def _success(asked: Asked) -> str:
    """`62.0 % (48.2 to 74.1)`: mean over tasks, or of one task, with its 95 % interval."""
    entry, task = asked.entry(), asked.options.get("task")
    mean = entry.mean if task is None else entry.task_mean(task)
    return f"{percent(mean.value)} % ({span(mean)})" if mean else "not measured"


def _episodes(asked: Asked) -> str:
    """Measured episodes behind `success`."""
    entry, task = asked.entry(), asked.options.get("task")
    if task is None:
        return str(entry.total.rate.n)
    return str(entry.tasks[task].rate.n) if task in entry.tasks else "0"


def _seeds(asked: Asked) -> str:
    return str(len(asked.entry().seeds))


def _gain(asked: Asked) -> str:
    """`+12.0 points (4.1 to 20.0)`: success of `arm` minus that of `over`."""
    first, second = asked.entry(asked.one("arm")), asked.entry(asked.one("over"))
    gap = gain(first, second)
    if gap is None:
        return "not measured"
    return f"{100 * gap.value:+.1f} points ({percent(gap.low)} to {percent(gap.high)})"


def _speed_up(asked: Asked) -> str:
    return ratio_text(_ratio(asked, "curves"))


def _data_saving(asked: Asked) -> str:
    return ratio_text(_ratio(asked, "data_efficiency"))


def _steps_needed(asked: Asked) -> str:
    return _needed(asked, "curves")


def _demos_needed(asked: Asked) -> str:
    return _needed(asked, "data_efficiency")


def _ratio(asked: Asked, table: str) -> Ratio:
    baseline, arm = _curves(asked, table, [asked.one("over"), asked.one("arm")])
    return speed_ups(baseline, arm, [_level(asked)])[0]


def _needed(asked: Asked, table: str) -> str:
    """Where an arm's smoothed curve reaches a level, or the success that `over` ends with."""
    level = _level(asked)
    names = [asked.one("arm"), *([asked.one("over")] if level is None else [])]
    curve, *others = _curves(asked, table, names)
    if level is None:
        level = float(monotone(others[0].means[None])[0, -1])
    x = float(first_reach(curve.xs, monotone(curve.means[None]), np.array([level]))[0])
    if isinf(x):
        return f"more than {arrival(curve.xs[-1])}"
    return f"at most {arrival(x)}" if x == curve.xs[0] else arrival(x)


def _level(asked: Asked) -> float | None:
    """A share of success; None for what the arm compared with ends at."""
    text = asked.one("level", FINAL)
    if text == FINAL:
        return None
    try:
        level = float(text)
    except ValueError:
        level = -1.0
    if not 0 < level <= 100:
        raise UsageError(f"level={text}: allowed is a success in percent, or '{FINAL}'")
    return level / 100


def _curves(asked: Asked, table: str, arms: Sequence[str]) -> list[Curve]:
    """These arms' curves of the one set that has them all."""
    # Which demonstrations and steps make a curve is not for a mark to say.
    sets = [
        group
        for group in asked.content.curves[table]
        if any(asked.takes(entry, but=("arm",)) for entry in group.entries)
    ]
    full = [group for group in sets if set(arms) <= _long_curves(group).keys()]
    if len(full) == 1:
        return [_long_curves(full[0])[arm] for arm in arms]
    if full:
        titles = "; ".join(group.title for group in full)
        raise UsageError(f"several curves are meant: {titles}. Say which: suite=, card=, policy=")
    known = sorted({arm for group in sets for arm in _long_curves(group)})
    for arm in arms:
        if arm not in known:
            raise UnknownNameError("curve of two points or more", arm, known)
    raise UsageError(f"no suite, card and policy has curves of all of: {', '.join(arms)}")


def _long_curves(group: CurveSet) -> dict[str, Curve]:
    return {curve.arm: curve for curve in group.curves if len(curve.points) > 1}


def _depth(asked: Asked) -> str:
    """`0.123 (0.100 to 0.150)`: a metric of the depth probe."""
    metric = asked.one("metric")
    if metric not in METRICS:
        raise UnknownNameError("metric", metric, METRICS)
    groups = probe_groups(asked)
    if len(groups) != 1:
        raise UsageError(f"{len(groups)} lines of the depth probe; say {'=, '.join(PROBE_FIELDS)}=")
    found = groups[0].metrics[metric]
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _cell(asked: Asked) -> str:
    """A cell of a committed CSV file: of the line whose first cell is `row`."""
    headings, lines = read_csv(asked.folder / asked.one("file"))
    place, row = column(headings, asked.one("column")), asked.one("row")
    found = [line for line in lines if line and line[0] == row]
    if not found:
        raise UnknownNameError("row", row, [line[0] for line in lines if line])
    if len(found) > 1:
        raise UsageError(f"{asked.one('file')} has {len(found)} lines that begin with '{row}'")
    return found[0][place]


_ENTRY = tuple(ENTRY_FIELDS)
_PLACE = tuple(name for name in ENTRY_FIELDS if name not in ("arm", "demos", "step"))
_CURVE = ("arm", "over", "level", *_PLACE)
VALUES: Mapping[str, ValueKind] = {
    "success": ValueKind((*_ENTRY, "task"), _success),
    "episodes": ValueKind((*_ENTRY, "task"), _episodes),
    "seeds": ValueKind(_ENTRY, _seeds),
    "gain": ValueKind((*_ENTRY, "over"), _gain),
    "speed-up": ValueKind(_CURVE, _speed_up),
    "data-saving": ValueKind(_CURVE, _data_saving),
    "steps-needed": ValueKind(_CURVE, _steps_needed),
    "demos-needed": ValueKind(_CURVE, _demos_needed),
    "depth": ValueKind((*PROBE_FIELDS, "metric"), _depth),
    "cell": ValueKind(("file", "row", "column"), _cell),
}
