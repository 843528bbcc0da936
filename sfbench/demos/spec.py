"""What the numbers and images of a dataset mean, and its JSON form."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sfbench.contracts import (
    ActionSpec,
    CameraSpec,
    EnvSpec,
    Orientation,
    VectorSpec,
    action_from_json,
    vector_from_json,
)
from sfbench.errors import UnknownNameError


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """The conventions of a dataset.

    Attributes:
        suite: the suite it was collected in; None where a foreign dataset does not say.
        fps: control steps, and so frames, a second.
        cameras: every camera, with size and orientation of its images.
        state_size: numbers in a state, S.
        action_size: numbers in an action, A.
        state: the suite's layout of states; None where a foreign dataset does not say.
        action: the suite's action space; None likewise.
        extras: names of what else there is for every frame; see DemoBatch.
    """

    suite: str | None
    fps: float
    cameras: tuple[CameraSpec, ...]
    state_size: int
    action_size: int
    state: VectorSpec | None = None
    action: ActionSpec | None = None
    extras: tuple[str, ...] = ()

    def camera(self, name: str) -> CameraSpec:
        """The camera of that name. Raises UnknownNameError."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise UnknownNameError(
            "camera of the dataset", name, [camera.name for camera in self.cameras]
        )

    def check_extras(self, names: Sequence[str]) -> None:
        """Raises UnknownNameError for an extra that the dataset lacks."""
        for name in names:
            if name not in self.extras:
                hint = "Collect with depth=true, segmentation=true or matrices=true to have them."
                raise UnknownNameError("extra of the dataset", name, self.extras, hint)

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        data = asdict(self)
        return {**data, "extras": list(self.extras), "cameras": list(data["cameras"])}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "DatasetSpec":
        """Inverse of `to_json`. Raises KeyError or ValueError where it is none."""
        state, action = data["state"], data["action"]
        return cls(
            suite=data["suite"],
            fps=data["fps"],
            cameras=tuple(
                CameraSpec(**{**camera, "orientation": Orientation(camera["orientation"])})
                for camera in data["cameras"]
            ),
            state_size=data["state_size"],
            action_size=data["action_size"],
            state=None if state is None else vector_from_json(state),
            action=None if action is None else action_from_json(action),
            extras=tuple(data["extras"]),
        )


def spec_of(
    suite: str, env: EnvSpec, cameras: Sequence[str], extras: Sequence[str] = ()
) -> DatasetSpec:
    """The spec of a dataset collected in a suite.

    Raises:
        UnknownNameError: the suite has no such camera.
    """
    found = []
    for name in cameras:
        camera = env.camera(name)
        if camera is None:
            raise UnknownNameError("camera", name, [item.name for item in env.cameras])
        found.append(camera)
    return DatasetSpec(
        suite=suite,
        fps=env.action.hz,
        cameras=tuple(found),
        state_size=env.state.size,
        action_size=env.action.size,
        state=env.state,
        action=env.action,
        extras=tuple(extras),
    )
