"""LIBERO's demonstration files (HDF5), read without robomimic.

Layout, as LIBERO's `create_dataset.py` writes it: `data/demo_<i>` holds `states` (before each
action), `actions`, `rewards`, `dones`, `robot_states` and `obs/*` (after each action). Of its
attributes, `init_state` is the first of `states`, `model_file` the scene with its fixtures where
they stood. Images lie bottom row first.
"""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Orientation
from sfbench.errors import MissingError, UsageError

from .catalog import find_task
from .placing import Pose
from .spec import AGENT_CAMERA, WRIST_CAMERA

Array = NDArray[np.float64]

IMAGE_SETS: Mapping[str, str] = {AGENT_CAMERA: "agentview_rgb", WRIST_CAMERA: "eye_in_hand_rgb"}


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One recorded episode of T actions.

    Attributes:
        task: the task's name.
        instruction: as in the file.
        init_state: time, joint positions, velocities, [1 + nq + nv].
        fixtures: poses of the scene's bodies by name; those of the task's fixtures among them.
        actions: [T, 7].
        states: before each action, [T, 1 + nq + nv].
    """

    task: str
    instruction: str
    init_state: Array
    fixtures: Mapping[str, Pose]
    actions: Array
    states: Array


def count_demonstrations(path: Path) -> int:
    """How many demonstrations a file has."""
    with _opened(path) as data:
        return len(_names(data))


def recording_file(source: Path, task: str) -> Path:
    """The file with a task's demonstrations: `source` itself, or a file in that folder."""
    return source if source.is_file() else source / f"{task}_demo.hdf5"


def task_of(path: Path) -> str:
    """Name of the task that a file is of. Raises MissingError or UnknownNameError."""
    with _opened(path) as data:
        return _task_name(data, path)


def load_demonstration(path: Path, index: int, task: str | None = None) -> Demonstration:
    """Read one demonstration.

    Args:
        path: a `..._demo.hdf5` file.
        index: which, in the order of the file's numbers.
        task: the task that it should be of, if that matters.

    Raises:
        MissingError: no such file, or not of this layout.
        UsageError: no such index, or the file is of another task.
    """
    with _opened(path) as data:
        name = _task_name(data, path)
        if task is not None and name != task:
            raise UsageError(f"{path.name} holds demonstrations of {name}, not of {task}")
        group = _group(data, path, index)
        return Demonstration(
            task=name,
            instruction=_instruction(data),
            init_state=np.asarray(group.attrs["init_state"], np.float64),
            fixtures=_body_poses(str(group.attrs["model_file"])),
            actions=_table(group, "actions", path),
            states=_table(group, "states", path),
        )


def load_images(path: Path, index: int, camera: str, orientation: Orientation) -> NDArray[np.uint8]:
    """A demonstration's images [T, H, W, 3], after each action, turned as asked.

    Raises:
        MissingError: the file has none of that camera.
    """
    with _opened(path) as data:
        group = _group(data, path, index)
        place = f"obs/{IMAGE_SETS.get(camera, camera)}"
        if place not in group:
            raise MissingError(f"{path}: no images of '{camera}' ({place})")
        images: NDArray[np.uint8] = group[place][()]
    if orientation is Orientation.BOTTOM_UP:
        return images
    turned = images[:, ::-1, ::-1] if orientation is Orientation.MIRRORED else images[:, ::-1]
    return np.ascontiguousarray(turned)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise MissingError(f"no demonstration file {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise MissingError(f"{path} is no HDF5 file, or damaged: {error}") from error
    with file:
        if "data" not in file or not _names(file["data"]):
            raise MissingError(f"{path} is not of LIBERO's layout: it has no group data/demo_0")
        yield file["data"]


def _names(data: Any) -> list[str]:  # noqa: ANN401 (h5py has no types)
    found = [name for name in data if re.fullmatch(r"demo_\d+", name)]
    return sorted(found, key=lambda name: int(name.removeprefix("demo_")))


def _group(data: Any, path: Path, index: int) -> Any:  # noqa: ANN401
    names = _names(data)
    if not 0 <= index < len(names):
        raise UsageError(f"{path.name}: no demonstration {index}; allowed 0 to {len(names) - 1}")
    return data[names[index]]


def _table(group: Any, name: str, path: Path) -> Array:  # noqa: ANN401
    if name not in group or group[name].ndim != 2 or not len(group[name]):
        raise MissingError(f"{path}: {group.name} has no table '{name}'")
    return np.asarray(group[name][()], np.float64)


def _task_name(data: Any, path: Path) -> str:  # noqa: ANN401
    if "bddl_file_name" in data.attrs:
        return find_task(Path(str(data.attrs["bddl_file_name"])).stem).name
    return find_task(path.stem.removesuffix("_demo")).name


def _instruction(data: Any) -> str:  # noqa: ANN401
    text = str(json.loads(data.attrs["problem_info"])["language_instruction"])
    return text.strip('"')


def _body_poses(xml: str) -> dict[str, Pose]:
    """Pose of every named body in its parent. A body without a rotation has none."""
    poses = {}
    for body in ET.fromstring(xml).iter("body"):  # noqa: S314 (a data set that the user chose)
        pos = _numbers(body.get("pos"), (0.0, 0.0, 0.0))
        quat = _numbers(body.get("quat"), (1.0, 0.0, 0.0, 0.0))
        if name := body.get("name"):
            poses[name] = Pose(pos, quat)
    return poses


def _numbers(text: str | None, default: tuple[float, ...]) -> Array:
    return np.array(default if text is None else [float(word) for word in text.split()])
