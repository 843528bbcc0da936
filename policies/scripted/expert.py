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


@dataclass
class ExpertConfig:
    """No settings."""


class ExpertPolicy:
    """Asks the Env beside it for its expert, and that for one action at a time."""

    def __init__(self, context: PolicyContext) -> None:
        self._env = context.env
        self._expert: Expert | None = None
        self.spec = PolicySpec(name="expert", runs_in=RunsIn.WORKER, action=context.env_spec.action)

    def reset(self, slot: int, context: EpisodeContext) -> None:
        """See Policy."""
        assert self._env is not None, "the expert runs in a worker"
        self._expert = self._env.expert()

    def act(
        self, observations: Sequence[Observation], slots: Sequence[int]
    ) -> Sequence[NDArray[np.float64]]:
        """See Policy."""
        assert self._expert is not None
        return [self._expert.act()[None]]

    def close(self) -> None:
        """See Policy."""


def make(config: ExpertConfig, context: PolicyContext) -> ExpertPolicy:
    """Factory of the plugin."""
    return ExpertPolicy(context)
