"""Suite, Task and Env: what a simulation benchmark has to provide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts.conventions import Split
from sfbench.contracts.specs import EnvSpec, Json


@dataclass(frozen=True, slots=True)
class Observation:
    """What a policy may see at one moment.

    Attributes:
        images: camera name to uint8 [H, W, 3]. May be a view into shared memory that is valid only
            until the policy returns: copy what is to be kept.
        state: float64 [S], laid out as `EnvSpec.state`.
    """

    images: Mapping[str, NDArray[np.uint8]]
    state: NDArray[np.float64]


class Expert(Protocol):
    """A scripted solver that reads the simulator's true state."""

    @property
    def is_done(self) -> bool:
        """Whether it tries nothing more: every further action holds still."""

    def act(self) -> NDArray[np.float64]:
        """The next action, float64 [A]; called once per control step."""


class Env(Protocol):
    """One running simulation of one task and split. Physics and rendering are separate calls."""

    spec: EnvSpec

    def reset(self, init_state: int, seed: int) -> None:
        """Start an episode.

        Args:
            init_state: index into the split's list of initial states.
            seed: for all that the initial state leaves open (fixture poses, randomisation).

        Raises:
            UsageError: no such initial state.
        """

    def step(self, action: NDArray[np.float64]) -> None:
        """Advance one control step, physics only. `action` [A] is finite; it is clipped to bounds.

        Raises:
            SystemFaultError: the simulation diverged.
        """

    def observe(self, cameras: Sequence[str]) -> Observation:
        """Render the named cameras now (none: no rendering) and read the state.

        Does not change what later steps do.
        """

    def success(self) -> bool:
        """Whether the task is solved now."""

    def scene_hash(self) -> str:
        """Hash of what this episode's seed drew (not of the initial state); '' if nothing."""

    def get_state(self) -> NDArray[np.float64]:
        """All that physics depends on: a later `set_state` continues bit for bit."""

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Restore what `get_state` gave, in the same episode."""

    def expert(self) -> Expert:
        """A solver for the episode just reset.

        Raises:
            UsageError: the task has none.
        """

    def close(self) -> None:
        """Release simulator and GL resources; may be called twice."""


@dataclass(frozen=True, slots=True)
class CameraMatrices:
    """A pinhole camera, in OpenCV's convention: x right, y down, z forward.

    Attributes:
        intrinsics: float64 [3, 3], px; a pixel's centre lies at its column and row plus 0.5.
        to_world: float64 [4, 4], m: from the camera's frame to the one of `object_poses`.
    """

    intrinsics: NDArray[np.float64]
    to_world: NDArray[np.float64]


@runtime_checkable
class PrivilegedEnv(Env, Protocol):
    """An Env that also tells what a real robot could not know: for teachers and probes.

    Optional: ask with `isinstance(env, PrivilegedEnv)`. Arrays have the size and orientation of
    the camera's images, are the caller's own, and describe the present state. Like `observe`,
    none of this changes what later steps do.
    """

    def depth_m(self, cameras: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        """Distance along the camera's axis in m, float32 [H, W]; inf where nothing is seen."""

    def segmentation(self, cameras: Sequence[str]) -> Mapping[str, NDArray[np.int32]]:
        """What is seen at each pixel: an index into `object_names`, -1 for none; int32 [H, W]."""

    def object_names(self) -> tuple[str, ...]:
        """What `segmentation` tells apart: objects, furniture, arms; fixed for an Env."""

    def camera_matrices(self, cameras: Sequence[str]) -> Mapping[str, CameraMatrices]:
        """Where the cameras are now, and how they project."""

    def object_poses(self) -> Mapping[str, NDArray[np.float64]]:
        """The task's objects: position in m and unit quaternion wxyz, float64 [7].

        In one frame for all objects and cameras, which the suite names.
        """


@runtime_checkable
class PosableEnv(PrivilegedEnv, Protocol):
    """An Env that can be looked at from anywhere: for pretraining on geometry.

    Optional: ask with `isinstance(env, PosableEnv)`. Changes nothing that anyone else sees.
    """

    def look_from(
        self, camera: CameraMatrices, height: int, width: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The present state from a place of the caller's choice.

        Args:
            camera: square pixels, and its axis through the middle of the picture.
            height: of the picture in px, at most that of the suite's largest camera.
            width: likewise.

        Returns:
            An upright image uint8 [H, W, 3], and depth as in `depth_m`.

        Raises:
            UsageError: such a camera cannot be drawn.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task of a suite: everything a plan needs, without a simulator."""

    name: str
    version: str
    """Changed behaviour means a new version; it is part of the protocol card."""
    budget_steps: int
    """Control steps after which an unsolved episode is a failure."""
    instructions: tuple[str, ...]
    """The wordings used when `instruction_split` is `seen`."""
    unseen_instructions: tuple[str, ...] = ()
    init_states: Mapping[Split, int]
    """How many initial states each split has."""


class Suite(Protocol):
    """A configured set of tasks that share one EnvSpec."""

    name: str
    version: str
    tasks: Mapping[str, Task]
    env_spec: EnvSpec

    def make_env(self, task: str, split: Split) -> Env:
        """Build an Env; a compiled scene is kept and reused within the process."""

    def state_id(self, task: str, split: Split, init_state: int) -> str:
        """An id of that initial state, equal exactly where the state is equal."""

    def card(self) -> Mapping[str, Json]:
        """The suite's part of the protocol card: all settings that can move a score.

        A key `tasks`, where there is one, leads from each task's name to what concerns that task
        alone; a run's card keeps the tasks of its plan, a row's hash its own.
        """

    def preflight(self) -> None:
        """Check versions and assets before any episode.

        Raises:
            MissingError: with what to type to mend it.
        """
