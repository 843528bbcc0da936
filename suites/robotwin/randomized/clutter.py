"""Where distractors stand: anywhere on the table that a task leaves free."""

from collections.abc import Sequence

import mujoco
import numpy as np

from ..pose import Pose, yaw_quat
from ..tasks.base import Layout, Rectangle
from .distractors import NAMES

FEWEST, MOST = 4, 8
_FREE_X_M, _FREE_Y_M = 0.54, 0.29
"""Centres stand within these of the table's middle."""
_MARGIN_M = 0.09
"""Between a distractor's outline and one of the task's: a hand has to fit in."""
_GAP_M = 0.01
"""Between the outlines of two distractors."""
_TRIES = 40


def scatter(
    rng: np.random.Generator,
    layout: Layout,
    radii_m: dict[str, float],
    reserved: Sequence[Rectangle],
) -> Layout:
    """Draw distractors and their poses.

    Args:
        rng: the only source of randomness.
        layout: the task's own bodies.
        radii_m: horizontal reach of every body about its frame, see `reach_m`.
        reserved: parts of the table to keep free.
    """
    placed: Layout = {}
    order = rng.permutation(NAMES)
    for name in order[: rng.integers(FEWEST, MOST, endpoint=True)]:
        for _ in range(_TRIES):
            pos = np.array([rng.uniform(-_FREE_X_M, _FREE_X_M), rng.uniform(-_FREE_Y_M, _FREE_Y_M)])
            turn = rng.uniform(-np.pi, np.pi)
            radius = radii_m[name]
            if (
                _clear(pos, radius + _MARGIN_M, layout, radii_m)
                and _clear(pos, radius + _GAP_M, placed, radii_m)
                and not any(_inside(pos, radius, part) for part in reserved)
            ):
                placed[str(name)] = Pose.of((*pos, 0.0), yaw_quat(turn))
                break
    return placed


def reach_m(model: mujoco.MjModel, body: str) -> float:
    """How far a body, with all that hangs on it, reaches sideways from its frame at rest."""
    root = int(model.body(body).id)
    reach, places = 0.0, {root: np.zeros(3)}
    for index in range(root, model.nbody):
        parent = int(model.body_parentid[index])
        if index != root:
            if parent not in places:
                continue
            places[index] = places[parent] + model.body_pos[index]
        for geom in np.flatnonzero(model.geom_bodyid == index):
            centre = places[index] + model.geom_pos[geom]
            reach = max(reach, float(np.hypot(*centre[:2])) + _half_width_m(model, int(geom)))
    return reach


def _half_width_m(model: mujoco.MjModel, geom: int) -> float:
    """Sideways extent of a geom about its centre, whichever way it is turned about z."""
    turned = np.empty(9)
    mujoco.mju_quat2Mat(turned, model.geom_quat[geom])
    extent = np.abs(turned.reshape(3, 3)) @ model.geom_aabb[geom, 3:]
    return float(np.hypot(extent[0], extent[1]))


def _clear(pos: np.ndarray, radius_m: float, others: Layout, radii_m: dict[str, float]) -> bool:
    return all(
        np.hypot(*(pos - other.pos[:2])) > radius_m + radii_m[name]
        for name, other in others.items()
    )


def _inside(pos: np.ndarray, radius_m: float, part: Rectangle) -> bool:
    low_x, low_y, high_x, high_y = part
    nearest = np.clip(pos, (low_x, low_y), (high_x, high_y))
    return bool(np.hypot(*(pos - nearest)) < radius_m)
