"""Statistics of states and actions, per dimension: what policies scale by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorStatistics:
    """Of every dimension of a vector, over all frames; each float64 [size].

    `std` is the population's; `q01` and `q99` are the 1 % and 99 % quantiles, interpolated
    linearly.
    """

    mean: Array
    std: Array
    min: Array
    max: Array
    q01: Array
    q99: Array

    def to_json(self) -> dict[str, list[float]]:
        """A plain dict."""
        return {item.name: getattr(self, item.name).tolist() for item in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "VectorStatistics":
        """Inverse of `to_json`; other keys are ignored. Raises KeyError for a missing one."""
        values = {item.name: np.asarray(data[item.name], np.float64) for item in fields(cls)}
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Of a dataset, or of some of its episodes.

    Attributes:
        state: of the state vector.
        action: of the action vector.
        frames: how many frames they are over.
    """

    state: VectorStatistics
    action: VectorStatistics
    frames: int


def vector_statistics(values: NDArray[np.floating[Any]]) -> VectorStatistics:
    """Of the columns of [N, size], N at least 1."""
    table = np.asarray(values, np.float64)
    low, high = np.quantile(table, [0.01, 0.99], axis=0)
    return VectorStatistics(
        mean=table.mean(axis=0),
        std=table.std(axis=0),
        min=table.min(axis=0),
        max=table.max(axis=0),
        q01=low,
        q99=high,
    )


def statistics_of_tables(
    states: Sequence[NDArray[np.float32]], actions: Sequence[NDArray[np.float32]]
) -> Statistics:
    """Statistics over episodes, each [T, S] and [T, A]."""
    return Statistics(
        state=vector_statistics(np.concatenate(states)),
        action=vector_statistics(np.concatenate(actions)),
        frames=sum(len(table) for table in actions),
    )
