"""Losses and alignment over training, from `metrics.jsonl`.

A trainer writes one JSON object a step: `step` and numbers, some of them in groups. Which losses
there are is its own business: every number whose name speaks of a loss or of alignment is drawn.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from sfbench.errors import RunFolderError
from sfbench.report.inputs import METRICS
from sfbench.report.tabular import to_csv

MAX_POINTS = 200
"""Steps are averaged in bins, so that a long training stays a readable line."""

_WORDS = ("loss", "align", "cosine")


@dataclass(frozen=True, slots=True)
class Series:
    """One number over training, averaged in bins.

    Attributes:
        steps: last step of each bin, int64 [P].
        means: float64 [P].
    """

    steps: NDArray[np.int64]
    means: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Losses:
    """What one training run wrote.

    Attributes:
        run: name of its folder.
        arm: of its config; '' where it has none.
        train_seed: of its config; '' where it has none.
        series: by the trainer's own name.
    """

    run: str
    arm: str
    train_seed: str
    series: Mapping[str, Series]


def read_losses(folder: Path) -> Losses:
    """Read a training run's metrics. A step that stands twice was run again after a resume.

    Raises:
        RunFolderError: naming the line that is no object with a whole `step`; an unfinished last
            line is left out, as of a training that still runs.
    """
    steps: dict[int, dict[str, float]] = {}
    path = folder / METRICS
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if line.endswith(b"\n"):
            step, numbers = _read_line(path, number, line)
            steps[step] = numbers
    names = sorted({name for numbers in steps.values() for name in numbers})
    config = _config(folder)
    series = {name: _series(steps, name) for name in names}
    return Losses(folder.resolve().name, config["arm"], config["seed"], series)


def losses_csv(found: Iterable[Losses]) -> str:
    """One line per run, number and bin."""
    columns = ("run", "arm", "train_seed", "name", "step", "mean")
    return to_csv(
        columns,
        (
            [losses.run, losses.arm, losses.train_seed, name, int(step), f"{mean:.6g}"]
            for losses in found
            for name, series in losses.series.items()
            for step, mean in zip(series.steps, series.means, strict=True)
        ),
    )


def loss_names(found: Sequence[Losses]) -> list[str]:
    """Names of all numbers, the plain loss first."""
    return sorted(
        {name for losses in found for name in losses.series}, key=lambda n: (n.count("/"), n)
    )


def _read_line(path: Path, number: int, line: bytes) -> tuple[int, dict[str, float]]:
    try:
        data = json.loads(line)
        step = data["step"]
        if type(step) is not int:
            raise TypeError(f"step {step!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{path}, line {number}: no object with a whole number `step` ({error})"
        ) from error
    numbers = {
        name: float(value)
        for name, value in _flat(data)
        if any(word in name.lower() for word in _WORDS)
        and not name.startswith("grad")
        and isinstance(value, int | float)
        and math.isfinite(value)
    }
    return step, numbers


def _flat(data: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Names and values; a group such as `losses` becomes `losses/action`, `losses/align`."""
    for name, value in data.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{inner}", number) for inner, number in value.items())
        else:
            yield name, value


def _series(steps: Mapping[int, Mapping[str, float]], name: str) -> Series:
    present = sorted(step for step, numbers in steps.items() if name in numbers)
    bins = np.array_split(np.array(present, np.int64), min(len(present), MAX_POINTS))
    means = [np.mean([steps[int(step)][name] for step in some]) for some in bins]
    return Series(np.array([some[-1] for some in bins]), np.array(means))


def _config(folder: Path) -> dict[str, str]:
    """Arm and seed as the run's config says them."""
    path = folder / "config.yaml"
    data: Any = yaml.safe_load(path.read_text()) if path.exists() else {}
    data = data if isinstance(data, dict) else {}
    seed = data.get("train_seed", data.get("seed"))
    return {"arm": str(data.get("arm") or ""), "seed": "" if seed is None else str(seed)}
