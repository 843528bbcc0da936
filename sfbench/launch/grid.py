"""From axes to points: every combination of the values of a sweep's grid."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sfbench.contracts import stable_hash
from sfbench.errors import UsageError

_PLAIN = re.compile(r"[\w./:%@-]+")
_OTHER = re.compile(r"null$|true$|false$|[+-]?(\d|\.\d|inf$|nan$)", re.IGNORECASE)
"""Texts that would be read as something else than a text, without quotes."""
_MAX_ID = 80


@dataclass(frozen=True, slots=True)
class Point:
    """One combination.

    Attributes:
        labels: label by axis, as shown in tables.
        keys: every key that the combination sets.
    """

    labels: Mapping[str, str]
    keys: Mapping[str, Any]


def expand(grid: Mapping[str, Any], max_cells: int, per_point: int = 1) -> list[Point]:
    """Every point of a grid; a grid without axes has one.

    Args:
        grid: axis -> list of values, or mapping of label -> keys that it sets. With a mapping the
            axis's own key is set to the label as well, unless the axis is called `variant`.
        max_cells: bound on points times `per_point`.
        per_point: cells that each point becomes.

    Raises:
        UsageError: an empty axis, a value twice, a key set by two axes, or too many cells.
    """
    axes = {name: _choices(name, values) for name, values in grid.items()}
    total = math.prod(len(choices) for choices in axes.values()) * per_point
    if total > max_cells:
        sizes = " x ".join(f"{name} {len(choices)}" for name, choices in axes.items())
        more = f" x {per_point} checkpoints" if per_point > 1 else ""
        raise UsageError(
            f"the grid has {total} cells ({sizes}{more}), more than max_cells={max_cells}; "
            "make it smaller, or raise max_cells"
        )
    return list(_points(axes))


def _points(axes: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]]) -> Iterator[Point]:
    for chosen in itertools.product(*axes.values()):
        keys: dict[str, Any] = {}
        for axis, (label, own) in zip(axes, chosen, strict=True):
            for key, value in own.items():
                if key in keys:
                    raise UsageError(f"grid.{axis}, '{label}': {key} is set by another axis too")
                keys[key] = value
        labels = {axis: label for axis, (label, _) in zip(axes, chosen, strict=True)}
        yield Point(labels, keys)


def _choices(axis: str, values: object) -> list[tuple[str, Mapping[str, Any]]]:
    """(label, keys) for every value of an axis."""
    choices: list[tuple[str, Mapping[str, Any]]]
    if isinstance(values, dict):
        choices = []
        for label, keys in values.items():
            if keys is not None and not isinstance(keys, dict):
                raise UsageError(
                    f"grid.{axis}.{label}: write a mapping of keys, or a list above it"
                )
            own = {} if axis == "variant" else {axis: label}
            choices.append((str(label), {**own, **(keys or {})}))
    elif isinstance(values, list):
        choices = [(_label(value), {axis: value}) for value in values]
    else:
        raise UsageError(f"grid.{axis}={values}: write a list of values, such as [{values}]")
    if not choices:
        raise UsageError(f"grid.{axis} is empty, so there is nothing to run; give it a value")
    label, count = Counter(label for label, _ in choices).most_common(1)[0]
    if count > 1:
        raise UsageError(f"grid.{axis} has '{label}' twice")
    return choices


def _label(value: object) -> str:
    if isinstance(value, list):
        return "+".join(map(str, value))
    return "default" if value is None else str(value)


def cell_ids(points: Sequence[Mapping[str, str]], prefix: str = "") -> list[str]:
    """A folder name for each point: readable, and unlike every other, however letters are cased."""
    plain = [prefix + ("-".join(map(_slug, labels.values())) or "all") for labels in points]
    counts: dict[str, int] = {}
    for name in plain:
        counts[name.lower()] = counts.get(name.lower(), 0) + 1
    return [
        name
        if counts[name.lower()] == 1 and len(name) <= _MAX_ID
        else f"{name[:_MAX_ID]}-{stable_hash(dict(labels))[:8]}"
        for name, labels in zip(plain, points, strict=True)
    ]


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+]+", "_", text).strip("._") or "_"


def as_argument(key: str, value: object) -> str:
    """`key=value` as it is typed to a command."""
    return f"{key}={_as_text(value)}"


def _as_text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ",".join(_as_text(item) for item in value) + "]"
    text = str(value)
    if isinstance(value, str) and (not _PLAIN.fullmatch(text) or _OTHER.match(text)):
        # In Hydra's grammar backslashes count only before a quote, and so at the end.
        escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
        tail = len(escaped) - len(escaped.rstrip("\\"))
        return '"' + escaped + "\\" * tail + '"'
    return text
