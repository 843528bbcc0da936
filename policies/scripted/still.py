"""Which steps of a recording move nothing."""

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import ActionSpec, Quantity, Reference
from sfbench.errors import UsageError

STILL_NORM = 1e-4
"""Below this length a change of pose counts as none: the rule of OpenVLA's rebuild of LIBERO
(openvla/openvla, regenerate_libero_dataset.py)."""


def moving(actions: NDArray[np.float64], spec: ActionSpec) -> NDArray[np.bool_]:
    """Which of the actions [T, A] to keep.

    A step is dropped if its change of pose is shorter than STILL_NORM and its gripper command is
    that of the last step kept; the first step needs only the former.

    Raises:
        UsageError: actions are targets, so that nothing in one says whether the arm moves.
    """
    hand = np.concatenate(
        [np.full(part.size, part.quantity is Quantity.GRIPPER) for part in spec.parts]
    )
    moves = [part for part in spec.parts if part.quantity is not Quantity.GRIPPER]
    if any(part.reference is Reference.ABSOLUTE for part in moves):
        raise UsageError(
            f"steps without motion cannot be told in action space '{spec.name}', whose actions are "
            "targets; replay with keep_still=true"
        )
    still = np.linalg.norm(actions[:, ~hand], axis=1) < STILL_NORM
    keep = np.zeros(len(actions), np.bool_)
    last: NDArray[np.float64] | None = None
    for step, action in enumerate(actions):
        grip = action[hand]
        keep[step] = not (still[step] and (last is None or bool((grip == last).all())))
        if keep[step]:
            last = grip
    return keep
