"""One running LIBERO task: the contract over the simulation, the cameras and the starts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import (
    EnvSpec,
    Expert,
    Observation,
    Orientation,
    RecordedStart,
    RotationSign,
    Split,
)
from sfbench.errors import UnknownNameError, UsageError

from .catalog import LiberoTask
from .experts import EXPERTS
from .placing import Draw, Pose
from .presets import GripperRule
from .scene_spec import SceneSpec
from .simulation import Simulation
from .spec import env_spec
from .starts import (
    FixtureRule,
    check_index,
    start_demonstration,
    start_drawn,
    start_eval,
)
from .viewing import Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSettings:
    """A preset with its overrides, as far as an Env obeys it.

    Attributes:
        settle_steps: control steps that a reset takes.
        settle_action: sent meanwhile, [7].
        render_px: height and width of images.
        orientation: of images.
        rotation_sign: of the observed axis-angle.
        gripper_rule: what happens to the gripper number.
        fixtures: where they stand in `eval` episodes.
    """

    settle_steps: int
    settle_action: tuple[float, ...]
    render_px: int
    orientation: Orientation
    rotation_sign: RotationSign
    gripper_rule: GripperRule
    fixtures: FixtureRule


class LiberoEnv:
    """Implements `sfbench.contracts.Env` and RecordedEnv.

    Attributes:
        spec: what it takes and gives.
        task: which task.
        simulation: what runs.
        viewer: its cameras.
    """

    def __init__(
        self, simulation: Simulation, task: LiberoTask, split: Split, settings: EnvSettings
    ) -> None:
        self.spec: EnvSpec = env_spec(
            settings.render_px, settings.orientation, settings.rotation_sign
        )
        self.task = task
        self.simulation = simulation
        self._split, self._settings = split, settings
        self.viewer = Viewer(simulation.model, settings.render_px, settings.orientation)
        self._scene_hash = ""

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled scene."""
        return self.simulation.model

    @property
    def data(self) -> mujoco.MjData:
        """The simulation's state. Positions in the world are one physics step (2 ms) old."""
        return self.simulation.data

    @property
    def scene(self) -> SceneSpec:
        """What the scene consists of."""
        return self.simulation.spec

    def reset(self, init_state: int, seed: int) -> None:
        """Start from a state of the split, and let things settle."""
        check_index(self.task, self._split, init_state)
        if self._split is Split.EVAL:
            rule = self._settings.fixtures
            draw = start_eval(self.simulation, self.task, init_state, seed, rule)
        else:
            draw = start_drawn(self.simulation, self.task, self._split, init_state)
        self._settle(draw)

    def step(self, action: NDArray[np.float64]) -> None:
        """One control step: 25 physics steps of 2 ms."""
        if self._settings.gripper_rule is GripperRule.THRESHOLD:
            action = np.array(action, dtype=np.float64)
            action[6] = -1.0 if action[6] < 0.0 else 1.0
        self.simulation.step(action)

    def observe(self, cameras: Sequence[str]) -> Observation:
        """Draw the named cameras and read the state, both as of physics step 24 of the last 25."""
        for name in cameras:
            if self.spec.camera(name) is None:
                known = [camera.name for camera in self.spec.cameras]
                raise UnknownNameError("camera", name, known)
        self.viewer.look(self.simulation.seen_qpos)
        images: Mapping[str, NDArray[np.uint8]] = {
            name: self.viewer.image(name) for name in cameras
        }
        return Observation(images=images, state=self._state())

    def success(self) -> bool:
        """Whether LIBERO's goal holds."""
        return self.simulation.solved()

    def scene_hash(self) -> str:
        """Hash of the fixtures' poses; '' in a task without fixtures to place."""
        return self._scene_hash

    def get_state(self) -> NDArray[np.float64]:
        """Everything that later steps, images and the goal depend on."""
        return self.simulation.get_state()

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Restore what `get_state` gave in this episode."""
        self.simulation.set_state(state)

    def expert(self) -> Expert:
        """A solver for the episode just reset."""
        if self.task.name not in EXPERTS:
            solved = ", ".join(EXPERTS) or "(none)"
            raise UsageError(f"no expert for {self.task.name}. Tasks with one: {solved}")
        return EXPERTS[self.task.name](self)

    def close(self) -> None:
        """Free GL objects; an Env that draws again gets new ones."""
        self.viewer.close()

    def start_demonstration(self, state: NDArray[np.float64], fixtures: Mapping[str, Pose]) -> None:
        """Start where a demonstration does, instead of `reset`. Nothing settles.

        Args:
            state: its initial state, [1 + nq + nv].
            fixtures: where each of the task's fixtures stood, by body name.

        Raises:
            UsageError: the demonstration is of another task.
        """
        draw = start_demonstration(self.simulation, self.task, state, fixtures)
        self._scene_hash = draw.fixtures_hash(self.scene)

    def start_recorded(self, source: Path, index: int, start: RecordedStart) -> NDArray[np.float64]:
        """Start a demonstration of an HDF5 file, or of the task's file in a folder.

        Fixtures stand where they stood then. OpenVLA's rebuild draws their places anew instead.
        """
        from .demos import load_demonstration, recording_file

        found = load_demonstration(recording_file(source, self.task.name), index, self.task.name)
        self.start_demonstration(found.init_state, found.fixtures)
        if start is RecordedStart.SETTLED:
            self._play_settle_steps()
        return found.actions

    def _settle(self, draw: Draw) -> None:
        self._scene_hash = draw.fixtures_hash(self.scene)
        self._play_settle_steps()

    def _play_settle_steps(self) -> None:
        action = np.array(self._settings.settle_action)
        for _ in range(self._settings.settle_steps):
            self.simulation.step(action)

    def observed_pose(self) -> Pose:
        """The grip's position and the hand's quaternion (xyzw), as last observed."""
        seen, robot = self.viewer.data, self.scene.robot
        quat = seen.xquat[robot.hand_body][[1, 2, 3, 0]]
        return Pose(seen.site_xpos[robot.grip_site].copy(), quat)

    def observed_qpos(self) -> NDArray[np.float64]:
        """The joint positions [nq] that an observation reports."""
        return self.simulation.reported_qpos.copy()

    def _state(self) -> NDArray[np.float64]:
        pose = self.observed_pose()
        quat = pose.quat
        if self._settings.rotation_sign is RotationSign.CANONICAL and quat[3] < 0:
            quat = -quat
        fingers = self.simulation.reported_qpos[list(self.scene.robot.gripper_qpos)]
        return np.concatenate([pose.pos, axis_angle(quat), fingers])


def axis_angle(quat_xyzw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axis times angle (0 to 2 pi rad), by robosuite's formula: zero at w = 1 and w = -1."""
    w = min(max(float(quat_xyzw[3]), -1.0), 1.0)
    length = np.sqrt(1.0 - w * w)
    if math.isclose(length, 0.0):
        return np.zeros(3)
    turned: NDArray[np.float64] = (quat_xyzw[:3] * 2.0 * math.acos(w)) / length
    return turned
