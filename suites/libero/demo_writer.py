"""Writing demonstrations in LIBERO's own layout, from episodes played in an Env.

An episode is recorded while it is played: `recorder = Recorder(env)`, then `recorder.step(action)`
instead of `env.step(action)`, then `recorder.finish()`.
"""

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Orientation
from sfbench.errors import UsageError

from . import assets, scene_cache
from .catalog import LiberoTask
from .demos import IMAGE_SETS
from .env import LiberoEnv, axis_angle

Array = NDArray[np.float64]

IMAGE_PX = 128
"""Height and width of the images in LIBERO's own files."""


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """One episode of T actions, as the layout has it.

    Attributes:
        actions: [T, 7].
        states: before each action, [T, 1 + nq + nv].
        observations: data set name in `obs/` to values after each action, [T, ...].
        robot_states: fingers, grip position, hand quaternion (xyzw) after each action, [T, 9].
        xml: the scene, fixtures where they stood.
    """

    actions: Array
    states: Array
    observations: dict[str, NDArray[np.generic]]
    robot_states: Array
    xml: str


class Recorder:
    """Plays one episode in an Env that has just been reset, and notes what the layout asks for."""

    def __init__(self, env: LiberoEnv) -> None:
        camera = env.spec.cameras[0]
        if camera.height != IMAGE_PX:
            raise UsageError(
                f"LIBERO's demonstrations have images of {IMAGE_PX} px, the Env {camera.height}: "
                f"set suite.render_px={IMAGE_PX}"
            )
        self._env, self._orientation = env, camera.orientation
        self._rows: dict[str, list[NDArray[np.generic]]] = {}
        self._xml = _scene_xml(env)

    def __len__(self) -> int:
        """Steps noted so far."""
        return len(self._rows.get("actions", ()))

    def step(self, action: NDArray[np.float64]) -> None:
        """Step the Env and note the step."""
        data = self._env.data
        self._note("states", np.concatenate([[data.time], data.qpos, data.qvel]))
        self._note("actions", np.array(action, np.float64))
        self._env.step(action)
        seen = self._env.observe(tuple(IMAGE_SETS))
        pose = self._env.observed_pose()
        joints = self._env.observed_qpos()
        robot = self._env.scene.robot
        fingers = joints[list(robot.gripper_qpos)]
        self._note("gripper_states", fingers)
        self._note("joint_states", joints[list(robot.arm_qpos)])
        self._note("ee_states", np.concatenate([pose.pos, axis_angle(pose.quat)]))
        self._note("robot_states", np.concatenate([fingers, pose.pos, pose.quat]))
        for camera, name in IMAGE_SETS.items():
            self._note(name, _bottom_up(seen.images[camera], self._orientation))

    def finish(self) -> RecordedEpisode:
        """The episode.

        Raises:
            UsageError: nothing was played, or the task is not solved.
        """
        if not self._rows or not self._env.success():
            raise UsageError("only solved episodes are demonstrations")
        tables = {name: np.stack(rows) for name, rows in self._rows.items()}
        ee = tables["ee_states"]
        names = ("gripper_states", "joint_states", "ee_states", *IMAGE_SETS.values())
        return RecordedEpisode(
            actions=tables["actions"].astype(np.float64),
            states=tables["states"].astype(np.float64),
            observations={name: tables[name] for name in names}
            | {"ee_pos": ee[:, :3], "ee_ori": ee[:, 3:]},
            robot_states=tables["robot_states"].astype(np.float64),
            xml=self._xml,
        )

    def _note(self, name: str, value: NDArray[np.generic]) -> None:
        self._rows.setdefault(name, []).append(value)


def write_demonstrations(path: Path, task: LiberoTask, episodes: Sequence[RecordedEpisode]) -> None:
    """Write a file in the official layout; images are compressed, which readers do not notice."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        problem = task.bddl_path.read_text().split("(problem", 1)[1].split(")", 1)[0].strip()
        info = {
            "problem_name": problem.lower(),
            "domain_name": "robosuite",
            "language_instruction": task.instruction,
        }
        bddl = f"libero/libero/bddl_files/{task.suite}/{task.bddl_path.name}"
        data.attrs["env_name"] = problem
        data.attrs["problem_info"] = json.dumps(info)
        data.attrs["macros_image_convention"] = "opengl"
        data.attrs["bddl_file_name"] = bddl
        data.attrs["bddl_file_content"] = task.bddl_path.read_text()
        data.attrs["env_args"] = json.dumps(
            {"type": 1, "env_name": problem, "problem_name": problem.lower(), "bddl_file": bddl}
        )
        for index, episode in enumerate(episodes):
            _write_episode(data.create_group(f"demo_{index}"), episode)
        data.attrs["num_demos"] = len(episodes)
        data.attrs["total"] = sum(len(episode.actions) for episode in episodes)


def _write_episode(group: h5py.Group, episode: RecordedEpisode) -> None:
    last = np.zeros(len(episode.actions), np.uint8)
    last[-1] = 1
    observations = group.create_group("obs")
    for name, values in episode.observations.items():
        packed = {"compression": "gzip"} if values.dtype == np.uint8 else {}
        observations.create_dataset(name, data=values, **packed)
    group.create_dataset("actions", data=episode.actions)
    group.create_dataset("states", data=episode.states)
    group.create_dataset("robot_states", data=episode.robot_states)
    group.create_dataset("rewards", data=last)
    group.create_dataset("dones", data=last)
    group.attrs["num_samples"] = len(episode.actions)
    group.attrs["model_file"] = episode.xml
    group.attrs["init_state"] = episode.states[0]


def _scene_xml(env: LiberoEnv) -> str:
    """The scene's MJCF with the fixtures where this episode's reset put them."""
    scene = scene_cache.ensure([env.task], assets.find())[env.task.name]
    root = ET.fromstring(scene.xml())  # noqa: S314 (our own file)
    bodies = {body.get("name"): body for body in root.iter("body")}
    for place in env.scene.placements:
        if place.qpos is None:
            body = bodies[env.model.body(place.body).name]
            for key, values in (
                ("pos", env.model.body_pos[place.body]),
                ("quat", env.model.body_quat[place.body]),
            ):
                body.set(key, " ".join(repr(float(number)) for number in values))
    return ET.tostring(root, encoding="unicode")


def _bottom_up(image: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    if orientation is Orientation.MIRRORED:
        return image[::-1, ::-1]
    return image[::-1] if orientation is Orientation.UPRIGHT else image
