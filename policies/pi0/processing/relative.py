"""Actions written as differences from the state at the chunk's start.

Source: `DeltaActions` and `AbsoluteActions` of openpi 15a9616, `to_relative_actions` of LeRobot
7427f31. Grippers stay absolute. openpi's own π0 checkpoint for LIBERO was trained so, although
LIBERO's actions are changes already.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import VectorSpec
from sfbench.errors import UnknownNameError, UsageError

Floats = NDArray[np.float64]


def relative_mask(parts: Sequence[str], action: VectorSpec, state: VectorSpec) -> tuple[bool, ...]:
    """Which action numbers are differences.

    Args:
        parts: names of the action's parts that are.
        action: the action space.
        state: the state, in which the same numbers have to lie at the same places.

    Raises:
        UnknownNameError: no such part.
        UsageError: the state has other numbers there.
    """
    mask = np.zeros(action.size, np.bool_)
    known = {part.name: part for part in action.parts}
    for name in parts:
        if name not in known:
            raise UnknownNameError("part in relative_parts", name, known)
        place, mine = action.slice_of(name), known[name]
        match = [
            part.name
            for part in state.parts
            if state.slice_of(part.name) == place and part.quantity is mine.quantity
        ]
        if not match:
            raise UsageError(
                f"relative_parts: action part '{name}' is numbers {place.start} to "
                f"{place.stop - 1}, but the state has no {mine.quantity} there: it has "
                f"{[part.name for part in state.parts]}"
            )
        mask[place] = True
    return tuple(bool(value) for value in mask)


def to_relative(
    actions_BKA: NDArray[np.floating[Any]],
    states_BS: NDArray[np.floating[Any]],
    mask: Sequence[bool],
) -> Floats:
    """Absolute actions as differences from the states where `mask` says so."""
    return np.asarray(actions_BKA - _offset(states_BS, mask), np.float64)


def to_absolute(
    actions_BKA: NDArray[np.floating[Any]],
    states_BS: NDArray[np.floating[Any]],
    mask: Sequence[bool],
) -> Floats:
    """Inverse of `to_relative`."""
    return np.asarray(actions_BKA + _offset(states_BS, mask), np.float64)


def _offset(states_BS: NDArray[np.floating[Any]], mask: Sequence[bool]) -> Floats:
    chosen = np.flatnonzero(mask)
    offset = np.zeros((len(states_BS), 1, len(mask)))
    offset[:, 0, chosen] = states_BS[:, chosen]
    return offset
