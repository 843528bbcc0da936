"""From the gripper number of a data set to the simulator's command, and back.

Source: `process_action` and `libero_dataset_transform` in moojink/openvla-oft at 213c5ff. Reading
the number the wrong way round is the best known way to score 0.
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class GripperRule(StrEnum):
    """How a model's gripper number becomes a command."""

    AS_IS = "as_is"
    """The model was trained on the suite's own commands."""
    OPEN_ONE = "open_one"
    """The model says 1 for open and 0 for closed; the suite wants -1 to open and +1 to close."""


def to_command(actions: Floats, rule: GripperRule, grippers: Sequence[slice]) -> Floats:
    """A model's actions [..., A] as the suite wants them; `grippers` are the numbers concerned.

    With OPEN_ONE above 0.5 gives -1, below gives +1, and exactly 0.5 gives 0, as in the source.
    """
    commands = actions.copy()
    if rule is GripperRule.OPEN_ONE:
        for part in grippers:
            commands[..., part] = -np.sign(2 * actions[..., part] - 1)
    return commands


def to_model(commands: Floats, rule: GripperRule, grippers: Sequence[slice]) -> Floats:
    """The suite's actions [..., A] as the model was trained on them."""
    actions = commands.copy()
    if rule is GripperRule.OPEN_ONE:
        for part in grippers:
            actions[..., part] = 1 - np.clip(commands[..., part], 0, 1)
    return actions
