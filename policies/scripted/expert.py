"""The scripted solver of a task, through the ordinary policy interface."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import (
    EpisodeContext,
    Expert,
    Observation,
    PolicyContext,
    PolicySpec,
    RunsIn,
)

_SETTLE_STEPS = 40
"""So long an expert that has nothing more to try is watched: things may still fall into place."""


@dataclass
class ExpertConfig:
    """No settings."""


class ExpertPolicy:
    """Asks the Env beside it for its expert, and that for one action at a time.

    An episode whose expert is done without success is given up, and not played to its budget.
    """

    def __init__(self, context: PolicyContext) -> None:
        self._env = context.env
        self._expert: Expert | None = None
        self._idle_steps = 0
        self._nothing = np.empty((0, context.env_spec.action.size))
        self.spec = PolicySpec(name="expert", runs_in=RunsIn.WORKER, action=context.env_spec.action)

    def reset(self, slot: int, context: EpisodeContext) -> None:
        """See Policy."""
        assert self._env is not None, "the expert runs in a worker"
        self._expert = self._env.expert()
        self._idle_steps = 0

    def act(
        self, observations: Sequence[Observation], slots: Sequence[int]
    ) -> Sequence[NDArray[np.float64]]:
        """See Policy."""
        assert self._expert is not None
        self._idle_steps += self._expert.is_done
        if self._idle_steps > _SETTLE_STEPS:
            return [self._nothing]
        return [self._expert.act()[None]]

    def close(self) -> None:
        """See Policy."""


def make(config: ExpertConfig, context: PolicyContext) -> ExpertPolicy:
    """Factory of the plugin."""
    return ExpertPolicy(context)
