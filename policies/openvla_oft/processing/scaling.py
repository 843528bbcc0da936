"""Scaling states and actions by the quantiles of the training data.

Source: `normalize_proprio`, `_unnormalize_actions` and `normalize_action_and_proprio` in
moojink/openvla-oft at 213c5ff (type BOUNDS_Q99).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sfbench.errors import UsageError

_TINY = 1e-8
"""Added to the range, so that a constant number divides by something."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VectorStatistics:
    """What is known of a state or action vector over a data set; all arrays are [size].

    Attributes:
        q01: 1 % quantile, mapped to -1.
        q99: 99 % quantile, mapped to +1.
        mask: which numbers are scaled; the others pass as they are.
        constant: which numbers never change; as training targets they are 0.
    """

    q01: Floats
    q99: Floats
    mask: NDArray[np.bool_]
    constant: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Length of the vector."""
        return len(self.q01)

    def unscale(self, values: NDArray[np.floating[Any]]) -> Floats:
        """From [-1, 1] back to the data's units; works on [..., size]."""
        width = self.q99 - self.q01 + _TINY
        return np.where(self.mask, 0.5 * (values + 1) * width + self.q01, values)

    def scale_state(self, values: NDArray[np.floating[Any]]) -> Floats:
        """States for the network: scaled, and all of it clipped to [-1, 1]."""
        return np.clip(np.where(self.mask, self._scaled(values), values), -1.0, 1.0)

    def scale_target(self, values: NDArray[np.floating[Any]]) -> Floats:
        """Actions as training targets: scaled numbers clipped, constant ones 0."""
        scaled = np.where(self.mask, np.clip(self._scaled(values), -1, 1), values)
        return np.where(self.constant, 0.0, scaled)

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {
            "q01": self.q01.tolist(),
            "q99": self.q99.tolist(),
            "mask": self.mask.tolist(),
            "constant": self.constant.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> Self:
        """Read one entry of a statistics file; `where` names it in errors.

        The published files have no `constant`; there it is where `min` equals `max`.

        Raises:
            UsageError: quantiles are missing, of different lengths, or not finite.
        """
        if missing := [name for name in ("q01", "q99") if name not in data]:
            raise UsageError(f"{where}: lacks {', '.join(missing)}; it has {sorted(data)}")
        q01, q99 = (np.asarray(data[name], np.float64) for name in ("q01", "q99"))
        mask = np.asarray(data.get("mask", np.ones(len(q01))), np.bool_)
        if "constant" in data:
            constant = np.asarray(data["constant"], np.bool_)
        elif "min" in data and "max" in data:
            constant = np.asarray(data["min"]) == np.asarray(data["max"])
        else:
            constant = np.zeros(len(q01), np.bool_)
        if not len(q01) == len(q99) == len(mask) == len(constant):
            raise UsageError(f"{where}: q01, q99, mask and min/max differ in length")
        if not (np.isfinite(q01).all() and np.isfinite(q99).all()):
            raise UsageError(f"{where}: q01 or q99 is not finite")
        return cls(q01, q99, mask, constant)

    @classmethod
    def from_data(cls, rows: NDArray[np.floating[Any]], mask: Sequence[bool]) -> Self:
        """Compute from data [rows, size]; `mask` as in the attributes."""
        q01, q99 = np.quantile(rows.astype(np.float64), [0.01, 0.99], axis=0)
        constant = rows.min(axis=0) == rows.max(axis=0)
        return cls(q01, q99, np.asarray(mask, np.bool_), constant)

    @classmethod
    def from_bounds(cls, low: Floats, high: Floats) -> Self:
        """Scale by declared bounds: for networks that were never trained."""
        return cls(low, high, np.ones(len(low), np.bool_), np.zeros(len(low), np.bool_))

    def _scaled(self, values: NDArray[np.floating[Any]]) -> Floats:
        scaled: Floats = 2 * (values - self.q01) / (self.q99 - self.q01 + _TINY) - 1
        return scaled
