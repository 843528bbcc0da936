"""What the tasks with cubes share: where cubes lie, how they are held, when they rest."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..expert.grasps import downward_options
from ..pose import Array, Pose, yaw_quat
from ..robot.panda import Side
from ..scene.view import Scene
from .base import Layout

OPEN = 0.8
"""From this opening on a gripper counts as open."""


def scatter(rng: np.random.Generator, halves_m: Mapping[str, float], clear_m: float) -> Layout:
    """Cubes within x 28 cm, y -8 to 5 cm, clear of x = 0, of (0, -10 cm) and of each other.

    Args:
        rng: the only source of randomness.
        halves_m: half a cube's side, by name.
        clear_m: distance from (0, -10 cm), about which things are put down.
    """
    layout: Layout = {}
    for name, half in halves_m.items():
        while True:
            pos = np.array([rng.uniform(-0.28, 0.28), rng.uniform(-0.08, 0.05), half])
            apart = all(np.hypot(*(pos - other.pos)[:2]) > 0.1 for other in layout.values())
            clear = np.hypot(pos[0], pos[1] + 0.1) > clear_m
            if abs(pos[0]) > 0.05 and clear and apart:
                break
        layout[name] = Pose.of(pos, yaw_quat(rng.uniform(-0.75, 0.75)))
    return layout


def grasps(cube: Pose) -> list[Pose]:
    """The four equal grasps from above."""
    return downward_options(cube.pos, cube.yaw(), 4)


def quarter_turns(pos: Array) -> list[Pose]:
    """The four equal poses of a cube whose sides lie along the table's."""
    return [Pose.of(pos, yaw_quat(turn)) for turn in np.arange(4) * np.pi / 2]


def in_a_row(places: Sequence[Array]) -> bool:
    """Whether neighbours lie from left to right within 13 cm, and within 3 cm in depth."""
    steps = np.diff(np.stack(places), axis=0)
    return bool(
        np.all(steps[:, 0] > 0) and np.all(steps[:, 0] < 0.13) and np.all(abs(steps[:, 1]) < 0.03)
    )


def left_alone(scene: Scene, names: Sequence[str]) -> bool:
    """Whether both grippers are open and everything named is at rest."""
    return all(scene.opening(side) > OPEN for side in Side) and all(
        scene.speed(name) < 0.02 for name in names
    )
