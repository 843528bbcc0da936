"""Re-executes recorded actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import EpisodeContext, Observation, PolicyContext, PolicySpec, RunsIn
from sfbench.errors import UsageError
from sfbench.rollout.recording import load_actions


@dataclass
class ReplayConfig:
    """Settings of the replay policy.

    Attributes:
        source: a run folder made with `record_actions=true`.
    """

    source: str = ""


class ReplayPolicy:
    """Gives one recorded action at a time; when they are used up it gives the episode up."""

    def __init__(self, config: ReplayConfig, context: PolicyContext) -> None:
        if not config.source:
            raise UsageError("policy=replay needs policy.source=RUN_FOLDER with recorded actions")
        self._source = Path(config.source)
        if not (self._source / "actions").is_dir():
            raise UsageError(
                f"policy.source={config.source}: no folder 'actions' there; record with "
                "`sfbench eval ... record_actions=true`"
            )
        self._actions = np.empty((0, context.env_spec.action.size))
        self._next = 0
        self.spec = PolicySpec(
            name="replay",
            runs_in=RunsIn.WORKER,
            action=context.env_spec.action,
            card={"source": self._source.name},
        )

    def reset(self, slot: int, context: EpisodeContext) -> None:
        """See Policy."""
        self._actions = load_actions(self._source, context.episode.key)
        self._next = 0

    def act(
        self, observations: Sequence[Observation], slots: Sequence[int]
    ) -> Sequence[NDArray[np.float64]]:
        """See Policy."""
        chunk = self._actions[self._next : self._next + 1]
        self._next += 1
        return [chunk]

    def close(self) -> None:
        """See Policy."""


def make(config: ReplayConfig, context: PolicyContext) -> ReplayPolicy:
    """Factory of the plugin."""
    return ReplayPolicy(config, context)
