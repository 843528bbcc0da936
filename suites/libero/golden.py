"""Where everything comes to rest: stored for all 130 tasks, compared on the user's machine.

The settled state of each task's first initial state, under `openvla_oft`'s settle steps and episode
seed 0. Another MuJoCo version, or a damaged asset, shows here before it shows as a lower success
rate: with MuJoCo 3.8.1 the bowl of `libero_spatial` task 5 slides off the ramekin.
`python -m ....golden` writes the file anew.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Split

from . import assets, scene_cache
from .catalog import SUITES, LiberoTask, tasks
from .config import LiberoConfig
from .env import LiberoEnv
from .suite import LiberoSuite

TOLERANCE_M = 1e-3
TOLERANCE_RAD = 1e-2

_FILE = "settled_states.json"
_DECIMALS = 5
_PRESET = "openvla_oft"


@dataclass(frozen=True, slots=True)
class Deviation:
    """A joint that came to rest elsewhere.

    Attributes:
        task: the task.
        joint: its name in the scene.
        got: how far off, in `unit`.
        unit: m or rad.
    """

    task: str
    joint: str
    got: float
    unit: str

    def __str__(self) -> str:
        return f"{self.task}: {self.joint} is {self.got:.4f} {self.unit} off"


def compare(chosen: Iterable[LiberoTask]) -> Iterator[Deviation]:
    """Settle each task here, and yield every joint that is off by more than the tolerance."""
    for task in chosen:
        model, qpos = settled(task)
        yield from deviations(task.name, model, qpos, np.array(_stored()[task.name]))


def settled(task: LiberoTask) -> tuple[mujoco.MjModel, NDArray[np.float64]]:
    """The scene and its joint positions [nq] after the preset's settle steps."""
    env = LiberoSuite(task.suite, LiberoConfig(preset=_PRESET)).make_env(task.name, Split.EVAL)
    assert isinstance(env, LiberoEnv)
    env.reset(0, 0)
    model, qpos = env.model, env.data.qpos.copy()
    env.close()
    return model, qpos


@cache
def _stored() -> Mapping[str, list[float]]:
    text = files(__package__).joinpath("data", _FILE).read_text()
    stored: dict[str, list[float]] = json.loads(text)
    return stored


def deviations(
    task: str, model: mujoco.MjModel, qpos: NDArray[np.float64], expected: NDArray[np.float64]
) -> Iterator[Deviation]:
    """Every joint of `qpos` that is off from `expected` by more than the tolerance."""
    if expected.shape != qpos.shape:
        yield Deviation(task, "the number of joints", abs(len(expected) - len(qpos)), "joints")
        return
    for joint in range(model.njnt):
        place, name = int(model.jnt_qposadr[joint]), model.joint(joint).name
        kind = model.jnt_type[joint]
        if kind == mujoco.mjtJoint.mjJNT_FREE:
            apart = float(np.linalg.norm(qpos[place : place + 3] - expected[place : place + 3]))
            turned = _angle(qpos[place + 3 : place + 7], expected[place + 3 : place + 7])
            found = [(apart, TOLERANCE_M, "m"), (turned, TOLERANCE_RAD, "rad")]
        else:
            off = abs(float(qpos[place] - expected[place]))
            hinge = kind == mujoco.mjtJoint.mjJNT_HINGE
            found = [(off, TOLERANCE_RAD, "rad") if hinge else (off, TOLERANCE_M, "m")]
        for off, tolerance, unit in found:
            if not off <= tolerance:
                yield Deviation(task, name, off, unit)


def _angle(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Angle between two orientations given as quaternions, rad."""
    cosine = abs(float(np.dot(one, other))) / float(np.linalg.norm(one) * np.linalg.norm(other))
    return 2.0 * float(np.arccos(min(1.0, cosine)))


def main() -> None:
    """Write the file."""
    states = {}
    for suite in SUITES:
        scene_cache.ensure(tasks(suite).values(), assets.find())
        for task in tasks(suite).values():
            qpos = settled(task)[1]
            states[task.name] = [round(float(number), _DECIMALS) for number in qpos]
            print(task.name, flush=True)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in states.items())
    Path(__file__).with_name("data").joinpath(_FILE).write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
