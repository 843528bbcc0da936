"""Policy: what is being measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts.env import Env, Observation
from sfbench.contracts.episode import EpisodeSpec
from sfbench.contracts.specs import EnvSpec, PolicySpec


@dataclass(frozen=True, slots=True)
class EpisodeContext:
    """What a policy is told when an episode starts."""

    episode: EpisodeSpec
    seed: int
    """Root of the episode's own random stream; use nothing else random."""


class Policy(Protocol):
    """Maps observations to action chunks, batched over slots; state is kept per slot."""

    spec: PolicySpec

    def reset(self, slot: int, context: EpisodeContext) -> None:
        """A new episode starts in `slot`; forget all about the one before.

        This and `act` may raise. SystemFaultError: not the policy's fault (its server is gone); the
        episode is retried. StoppedError: the run cannot go on. All else is an error of the policy.
        """

    def act(
        self, observations: Sequence[Observation], slots: Sequence[int]
    ) -> Sequence[NDArray[np.float64]]:
        """One chunk [K, A] for each observation; any subset of slots, in any order.

        A chunk of no actions (K = 0) gives the episode up: it ends as a failure.
        """

    def close(self) -> None:
        """Release resources; may be called twice."""


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What a policy factory is given besides its config."""

    env_spec: EnvSpec
    env: Env | None = None
    """The Env beside it, only for policies that run in the worker."""
