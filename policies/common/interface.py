"""What a model's numbers mean: cameras, state and action of the data it was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self, TypeVar

from sfbench.contracts import (
    ActionSpec,
    CameraNeed,
    EnvSpec,
    Orientation,
    Quantity,
    VectorSpec,
    action_from_json,
    vector_from_json,
)
from sfbench.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What a model was trained to read and write.

    Attributes:
        cameras: names, in the model's order of views.
        orientation: of the images it was trained on.
        action: its action space.
        state: its state vector; None if it reads none.
    """

    cameras: tuple[str, ...]
    orientation: Orientation
    action: ActionSpec
    state: VectorSpec | None

    @property
    def read_state(self) -> VectorSpec:
        """The state vector of a model that cannot do without. Raises UsageError."""
        if self.state is None:
            raise UsageError("this model reads a state, and its data have none")
        return self.state

    @property
    def grippers(self) -> tuple[slice, ...]:
        """Where gripper numbers lie in an action."""
        return tuple(
            self.action.slice_of(part.name)
            for part in self.action.parts
            if part.quantity is Quantity.GRIPPER
        )

    def given_orientations(self, env: EnvSpec) -> tuple[Orientation, ...]:
        """How the suite gives each view; the model's own orientation for a camera it lacks.

        Any orientation can be turned into any other without loss, so a difference is no mismatch.
        """
        found = [env.camera(name) for name in self.cameras]
        return tuple(self.orientation if one is None else one.orientation for one in found)

    def needs(self, env: EnvSpec) -> tuple[CameraNeed, ...]:
        """The cameras as a PolicySpec states them."""
        pairs = zip(self.cameras, self.given_orientations(env), strict=True)
        return tuple(CameraNeed(name=name, orientation=how) for name, how in pairs)

    def named_as(self, env: EnvSpec) -> Self:
        """The same, with the suite's own names for parts; their conventions are compared later."""
        return replace(
            self,
            action=_renamed(self.action, env.action),
            state=None if self.state is None else _renamed(self.state, env.state),
        )

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {
            "cameras": list(self.cameras),
            "orientation": self.orientation.value,
            "action": asdict(self.action),
            "state": None if self.state is None else asdict(self.state),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        action, state = data["action"], data["state"]
        return cls(
            cameras=tuple(data["cameras"]),
            orientation=Orientation(data["orientation"]),
            action=action_from_json(action),
            state=None if state is None else vector_from_json(state),
        )


def suite_interface(env: EnvSpec, cameras: Sequence[str]) -> Interface:
    """A suite's own conventions, for a model that is trained on its demonstrations.

    Args:
        env: the suite.
        cameras: the views; empty is all that the suite has, less the camera that videos are
            recorded from where at least two others are left.
    """
    views = [camera.name for camera in env.cameras]
    others = [name for name in views if name != env.video_camera]
    if len(others) > 1:
        views = others
    return Interface(
        cameras=tuple(cameras) or tuple(views),
        orientation=Orientation.UPRIGHT,
        action=env.action,
        state=env.state,
    )


Spec = TypeVar("Spec", bound=VectorSpec)


def _renamed(spec: Spec, like: VectorSpec) -> Spec:
    if [part.size for part in spec.parts] != [part.size for part in like.parts]:
        return spec
    pairs = zip(spec.parts, like.parts, strict=True)
    return replace(spec, parts=tuple(replace(mine, name=theirs.name) for mine, theirs in pairs))
