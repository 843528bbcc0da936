"""The two null policies: doing nothing, and acting at random."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import (
    ActionSpec,
    CameraNeed,
    EpisodeContext,
    Observation,
    PolicyContext,
    PolicySpec,
    Quantity,
    Reference,
    RunsIn,
    VectorPart,
)
from sfbench.errors import UsageError


@dataclass
class NoopConfig:
    """No settings."""


@dataclass
class RandomConfig:
    """Settings of the random policy.

    Attributes:
        chunk_steps: actions drawn per call.
        cameras: cameras to ask for, though they are not looked at; for benchmarks.
    """

    chunk_steps: int = 8
    cameras: list[str] = field(default_factory=list)


class NoopPolicy:
    """Holds the first observed pose; where actions are changes, does nothing."""

    def __init__(self, context: PolicyContext) -> None:
        spec = context.env_spec
        self._action = spec.action
        self._hold: dict[int, NDArray[np.float64]] = {}
        self._from_state = _absolute_indices(spec.action)
        if self._from_state.any() and spec.action.parts != spec.state.parts:
            raise UsageError(
                f"noop: action space '{spec.action.name}' is absolute, and the state "
                f"'{spec.state.name}' is not laid out like it, so there is no pose to hold; "
                "use the action space that the state is given in"
            )
        self.spec = PolicySpec(
            name="noop", runs_in=RunsIn.MAIN, action=spec.action, state=spec.state
        )

    def reset(self, slot: int, context: EpisodeContext) -> None:
        """See Policy."""
        self._hold.pop(slot, None)

    def act(
        self, observations: Sequence[Observation], slots: Sequence[int]
    ) -> Sequence[NDArray[np.float64]]:
        """See Policy."""
        return [
            self._held(slot, observation)[None]
            for slot, observation in zip(slots, observations, strict=True)
        ]

    def close(self) -> None:
        """See Policy."""

    def _held(self, slot: int, observation: Observation) -> NDArray[np.float64]:
        if slot not in self._hold:
            action = np.zeros(self._action.size)
            if self._from_state.any():
                action[self._from_state] = observation.state[self._from_state]
            self._hold[slot] = action
        return self._hold[slot]


class RandomPolicy:
    """Uniform in the action bounds; each chunk is one target for parts that are absolute.

    An absolute target drawn anew at every step would average out to the middle of the range.
    """

    def __init__(self, config: RandomConfig, context: PolicyContext) -> None:
        if config.chunk_steps < 1:
            raise UsageError(f"policy.chunk_steps={config.chunk_steps}: allowed 1 or more")
        spec = context.env_spec
        self._action, self._steps = spec.action, config.chunk_steps
        self._absolute = _absolute_indices(spec.action)
        self._streams: dict[int, np.random.Generator] = {}
        self.spec = PolicySpec(
            name="random",
            runs_in=RunsIn.MAIN,
            cameras=tuple(_any_size(context, name) for name in config.cameras),
            action=spec.action,
            chunk_steps=config.chunk_steps,
            open_loop_steps=config.chunk_steps,
        )

    def reset(self, slot: int, context: EpisodeContext) -> None:
        """See Policy."""
        self._streams[slot] = np.random.default_rng(context.seed)

    def act(
        self, observations: Sequence[Observation], slots: Sequence[int]
    ) -> Sequence[NDArray[np.float64]]:
        """See Policy."""
        return [self._draw(self._streams[slot]) for slot in slots]

    def close(self) -> None:
        """See Policy."""

    def _draw(self, stream: np.random.Generator) -> NDArray[np.float64]:
        low, high = self._action.low, self._action.high
        chunk: NDArray[np.float64] = stream.uniform(low, high, (self._steps, self._action.size))
        chunk[:, self._absolute] = chunk[0, self._absolute]
        return chunk


def _absolute_indices(action: ActionSpec) -> NDArray[np.bool_]:
    return np.concatenate([np.full(part.size, _is_absolute(part)) for part in action.parts])


def _is_absolute(part: VectorPart) -> bool:
    # A gripper given as a command (close or open) has no pose to hold.
    command = part.quantity is Quantity.GRIPPER and min(part.low) < 0
    return part.reference is Reference.ABSOLUTE and not command


def _any_size(context: PolicyContext, name: str) -> CameraNeed:
    camera = context.env_spec.camera(name)
    if camera is None:
        return CameraNeed(name=name)  # The engine's check names the cameras that there are.
    return CameraNeed(name=name, orientation=camera.orientation)


def make_noop(config: NoopConfig, context: PolicyContext) -> NoopPolicy:
    """Factory of the plugin."""
    return NoopPolicy(context)


def make_random(config: RandomConfig, context: PolicyContext) -> RandomPolicy:
    """Factory of the plugin."""
    return RandomPolicy(config, context)
