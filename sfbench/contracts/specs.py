"""Typed descriptions of actions, states and cameras, and the check that two of them agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts.conventions import (
    Frame,
    Gripper,
    Orientation,
    Quantity,
    Reference,
    Rotation,
    RotationSign,
    RunsIn,
)
from sfbench.errors import SpecMismatchError

Json = None | bool | int | float | str | Sequence[Any] | Mapping[str, Any]
"""A value that survives a JSON round trip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorPart:
    """A named run of numbers with one meaning inside a state or action vector.

    `low` and `high` have `size` entries, in the part's unit (rad, m, or the gripper convention's).
    """

    name: str
    quantity: Quantity
    low: tuple[float, ...]
    high: tuple[float, ...]
    frame: Frame = Frame.JOINT
    reference: Reference = Reference.ABSOLUTE
    rotation: Rotation | None = None
    rotation_sign: RotationSign | None = None
    gripper: Gripper | None = None

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not self.low:
            raise ValueError(f"part '{self.name}': low and high must have one equal, non-zero size")
        if (self.quantity is Quantity.ROTATION) != (self.rotation is not None):
            raise ValueError(f"part '{self.name}': a rotation, and only a rotation, names its form")
        if (self.quantity is Quantity.GRIPPER) != (self.gripper is not None):
            raise ValueError(f"part '{self.name}': a gripper, and only a gripper, names its rule")

    @property
    def size(self) -> int:
        """How many numbers the part holds."""
        return len(self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSpec:
    """The layout of a flat vector: its parts, in order."""

    name: str
    parts: tuple[VectorPart, ...]

    @property
    def size(self) -> int:
        """Length of the whole vector."""
        return sum(part.size for part in self.parts)

    @property
    def low(self) -> NDArray[np.float64]:
        """Lower bounds, shape [size]."""
        return np.concatenate([np.asarray(part.low, np.float64) for part in self.parts])

    @property
    def high(self) -> NDArray[np.float64]:
        """Upper bounds, shape [size]."""
        return np.concatenate([np.asarray(part.high, np.float64) for part in self.parts])

    def slice_of(self, part_name: str) -> slice:
        """Where a part lies in the vector. Raises KeyError for an unknown part."""
        start = 0
        for part in self.parts:
            if part.name == part_name:
                return slice(start, start + part.size)
            start += part.size
        raise KeyError(part_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec(VectorSpec):
    """An action space; one action a control step, `hz` of them a second."""

    hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSpec:
    """A camera that an Env offers; images are uint8 [height, width, 3], RGB."""

    name: str
    height: int
    width: int
    orientation: Orientation = Orientation.UPRIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraNeed:
    """A camera that a policy reads. `height` and `width` None: any size, the policy resizes."""

    name: str
    height: int | None = None
    width: int | None = None
    orientation: Orientation = Orientation.UPRIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSpec:
    """What an Env takes and gives; one for all tasks of a configured suite."""

    action: ActionSpec
    state: VectorSpec
    cameras: tuple[CameraSpec, ...]
    video_camera: str
    """The camera that a video is recorded from."""

    def camera(self, name: str) -> CameraSpec | None:
        """The camera of that name, or None."""
        return next((camera for camera in self.cameras if camera.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpec:
    """What a policy reads and returns."""

    name: str
    runs_in: RunsIn
    cameras: tuple[CameraNeed, ...] = ()
    action: ActionSpec | None = None
    """None only for policies that are built for whatever space the Env has (noop, random)."""
    state: VectorSpec | None = None
    """None: the policy reads no state."""
    chunk_steps: int = 1
    """Actions in each returned chunk, K of [K, A]."""
    open_loop_steps: int = 1
    """Actions executed before the policy is asked again; at most `chunk_steps`."""
    preset: str | None = None
    checkpoint: str | None = None
    """Path or hub id of the weights."""
    card: Mapping[str, Json] = field(default_factory=dict)
    """More that the protocol card shows: checkpoint hash, resize filter, dtype."""
    training: Mapping[str, Json] = field(default_factory=dict)
    """Row fields that a trained checkpoint knows: train_step, train_seed, demos, recipe, ..."""
    trained_states: frozenset[str] = frozenset()
    """Ids of the initial states trained on; evaluating one marks its row `leak`."""


def check_compatible(env: EnvSpec, policy: PolicySpec) -> None:
    """Compare every convention of Env and policy.

    Raises:
        SpecMismatchError: with every field that differs, each with both values.
    """
    problems: list[str] = []
    if policy.action is not None:
        problems += _vector_problems("action", env.action, policy.action)
        if env.action.hz != policy.action.hz:
            problems.append(
                f"action.hz: suite has {env.action.hz:g}, policy wants {policy.action.hz:g}"
            )
    if policy.state is not None:
        problems += _vector_problems("state", env.state, policy.state)
    for need in policy.cameras:
        problems += _camera_problems(env, need)
    if not 1 <= policy.open_loop_steps <= policy.chunk_steps:
        problems.append(
            f"open_loop_steps: got {policy.open_loop_steps}, allowed 1 to {policy.chunk_steps} "
            "(the policy's chunk length)"
        )
    if problems:
        raise SpecMismatchError(
            f"policy '{policy.name}' does not fit this suite:\n  " + "\n  ".join(problems)
        )


def _camera_problems(env: EnvSpec, need: CameraNeed) -> list[str]:
    have = env.camera(need.name)
    if have is None:
        names = ", ".join(camera.name for camera in env.cameras)
        return [f"camera '{need.name}': the suite lacks it; it has {names}"]
    return [
        f"camera '{need.name}' {what}: suite gives {getattr(have, what)}, "
        f"policy wants {getattr(need, what)}"
        for what in ("height", "width", "orientation")
        if getattr(need, what) is not None and getattr(need, what) != getattr(have, what)
    ]


def _vector_problems(label: str, have: VectorSpec, want: VectorSpec) -> list[str]:
    have_names = [part.name for part in have.parts]
    want_names = [part.name for part in want.parts]
    if have_names != want_names:
        return [f"{label} parts: suite has {have_names}, policy wants {want_names}"]
    problems = []
    for mine, theirs in zip(have.parts, want.parts, strict=True):
        if mine.size != theirs.size:
            problems.append(
                f"{label}.{mine.name} size: suite has {mine.size}, policy wants {theirs.size}"
            )
        for item in fields(VectorPart):
            # Bounds may differ (a policy need not use the whole range); conventions may not.
            if item.name in ("name", "low", "high"):
                continue
            left, right = getattr(mine, item.name), getattr(theirs, item.name)
            if left != right:
                problems.append(
                    f"{label}.{mine.name} {item.name}: suite has {left}, policy wants {right}"
                )
    return problems
