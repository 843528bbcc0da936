"""Scaling states and actions by statistics of the training data.

Source: `_apply_transform` of LeRobot 7427f31 (`normalize_processor.py`). openpi 15a9616 differs in
small constants: 1e-6 added to every divisor, also on the way back. Nothing is clipped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sfbench.errors import UnknownNameError, UsageError

EPSILON = 1e-8

Floats = NDArray[np.float64]


class Mode(StrEnum):
    """Which statistics are used."""

    MEAN_STD = "mean_std"
    """Zero mean and unit variance: what π0 is trained with."""
    QUANTILES = "quantiles"
    """1 % and 99 % quantile to -1 and 1."""
    MIN_MAX = "min_max"
    """Least and greatest value to -1 and 1."""
    IDENTITY = "identity"
    """Numbers pass as they are."""


_NAMES = {
    Mode.MEAN_STD: ("mean", "std"),
    Mode.QUANTILES: ("q01", "q99"),
    Mode.MIN_MAX: ("min", "max"),
    Mode.IDENTITY: (),
}


@dataclass(frozen=True, eq=False)
class VectorStatistics:
    """What is known of a state or action vector over a data set.

    Attributes:
        mode: how it is used.
        first: [size]: the mean, or what becomes -1.
        second: [size]: the standard deviation, or what becomes 1.
        epsilon: keeps a divisor from 0.
    """

    mode: Mode
    first: Floats
    second: Floats
    epsilon: float = EPSILON

    @property
    def size(self) -> int:
        """Length of the vector."""
        return len(self.first)

    def scale(self, values: NDArray[np.floating[Any]]) -> Floats:
        """From the data's units to the network's; works on [..., size]."""
        if self.mode is Mode.IDENTITY:
            return np.asarray(values, np.float64)
        if self.mode is Mode.MEAN_STD:
            normal: Floats = (values - self.first) / (self.second + self.epsilon)
            return normal
        bounded: Floats = 2 * (values - self.first) / self._width() - 1
        return bounded

    def unscale(self, values: NDArray[np.floating[Any]]) -> Floats:
        """From the network's units to the data's; works on [..., size]."""
        if self.mode is Mode.IDENTITY:
            return np.asarray(values, np.float64)
        if self.mode is Mode.MEAN_STD:
            normal: Floats = values * self.second + self.first
            return normal
        bounded: Floats = (values + 1) / 2 * self._width() + self.first
        return bounded

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        found: dict[str, Any] = {"mode": self.mode.value, "size": self.size}
        pairs = zip(_NAMES[self.mode], (self.first, self.second), strict=False)
        return found | {name: values.tolist() for name, values in pairs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> Self:
        """Inverse of `to_json`; `where` names the source in errors.

        Raises:
            UsageError: something is missing, of different lengths, or not finite.
        """
        modes = [mode.value for mode in Mode]
        if data.get("mode") not in modes:
            raise UnknownNameError(f"mode in {where}", str(data.get("mode")), modes)
        mode = Mode(data["mode"])
        if mode is Mode.IDENTITY:
            size = int(data["size"])
            return cls(mode, np.zeros(size), np.ones(size))
        if missing := [name for name in _NAMES[mode] if name not in data]:
            raise UsageError(f"{where}: lacks {', '.join(missing)}; it has {sorted(data)}")
        first, second = (np.asarray(data[name], np.float64) for name in _NAMES[mode])
        if first.ndim != 1 or first.shape != second.shape:
            raise UsageError(
                f"{where}: {_NAMES[mode][0]} has shape {first.shape}, "
                f"{_NAMES[mode][1]} {second.shape}; needed are two equal lengths"
            )
        if not (np.isfinite(first).all() and np.isfinite(second).all()):
            raise UsageError(f"{where}: statistics are not finite")
        return cls(mode, first, second)

    @classmethod
    def from_data(cls, rows: NDArray[np.floating[Any]], mode: Mode = Mode.MEAN_STD) -> Self:
        """Compute from data [rows, size]."""
        data = rows.astype(np.float64)
        if mode is Mode.MEAN_STD:
            return cls(mode, data.mean(axis=0), data.std(axis=0))
        if mode is Mode.QUANTILES:
            return cls(mode, *np.quantile(data, [0.01, 0.99], axis=0))
        if mode is Mode.MIN_MAX:
            return cls(mode, data.min(axis=0), data.max(axis=0))
        return cls(mode, np.zeros(data.shape[1]), np.ones(data.shape[1]))

    @classmethod
    def from_bounds(cls, low: Floats, high: Floats) -> Self:
        """Scale by declared bounds: for networks that were never trained."""
        return cls(Mode.MIN_MAX, low, high)

    def _width(self) -> Floats:
        width = self.second - self.first
        return np.where(width == 0, self.epsilon, width)
