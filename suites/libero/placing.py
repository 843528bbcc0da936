"""What a reset draws: drawers and knobs, then the places of fixtures and objects.

LIBERO draws from NumPy's global generator. Here the same numbers are taken, in the same order, from
a generator of one's own, so that a draw depends on its seed alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from sfbench.contracts import stable_hash

from .osc_kernels import Array, kernels
from .scene_spec import Placement, SceneSpec

Generator = np.random.RandomState
"""NumPy's legacy generator, which `np.random.seed` controls."""

_TRIES = 5000


class NoRoomError(Exception):
    """Objects could not be placed apart; upstream then resets again."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Position in m, and a quaternion: wxyz, unless said otherwise."""

    pos: Array
    quat: Array


@dataclass(frozen=True, slots=True)
class Draw:
    """What one reset drew.

    Attributes:
        joints: qpos addresses and the position drawn for them, in order (a later one wins).
        poses: of objects and fixtures by name.
    """

    joints: tuple[tuple[tuple[int, ...], float], ...]
    poses: Mapping[str, Pose]

    def write(self, spec: SceneSpec, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Put objects into `data` and fixtures into `model`. Joints must have been written."""
        for place in spec.placements:
            pose = self.poses[place.name]
            if place.qpos is None:
                model.body_pos[place.body] = pose.pos
                model.body_quat[place.body] = pose.quat
            else:
                data.qpos[place.qpos : place.qpos + 7] = np.concatenate([pose.pos, pose.quat])

    def fixtures_hash(self, spec: SceneSpec) -> str:
        """16 hex digits over the poses of all fixtures drawn; '' if there are none."""
        fixtures = [place.name for place in spec.placements if place.qpos is None]
        numbers = [[*self.poses[name].pos, *self.poses[name].quat] for name in fixtures]
        return stable_hash([[float(n) for n in row] for row in numbers]) if fixtures else ""


def draw_reset(
    spec: SceneSpec, model: mujoco.MjModel, data: mujoco.MjData, rng: Generator, copies: int
) -> Draw:
    """Draw a reset, on data with the robot at its start and a model with fixtures as compiled.

    Writes the drawn joint positions into `data`, because regions move with drawers.

    Args:
        spec: what is drawn.
        model: the scene.
        data: its data.
        rng: advanced by exactly what upstream takes.
        copies: how many times each joint is drawn. Upstream's list grows by one copy a reset.

    Raises:
        NoRoomError: an object found no place.
    """
    rng.randn(len(spec.robot.arm_start))  # noise on the arm, which LIBERO multiplies by zero
    joints = []
    for _ in range(copies):
        for joint in spec.joint_draws:
            position = rng.uniform(low=joint.low, high=joint.high)
            joints.append((joint.qpos, float(position)))
            data.qpos[list(joint.qpos)] = position
    mujoco.mj_kinematics(model, data)
    poses: dict[str, Pose] = {}
    by_name = {place.name: place for place in spec.placements}
    for place in spec.placements:
        earlier = [(by_name[name], pose) for name, pose in poses.items()]
        poses[place.name] = _draw_pose(place, earlier, data, rng)
    return Draw(tuple(joints), poses)


def _draw_pose(
    place: Placement, earlier: list[tuple[Placement, Pose]], data: mujoco.MjData, rng: Generator
) -> Pose:
    base, shift = _reference(place, {other.name: (other, pose) for other, pose in earlier}, data)
    margin = 0.0 if place.inside or not place.keep_inside else place.radius
    for _ in range(_TRIES):
        index = rng.randint(len(place.x_ranges))
        x = _uniform(rng, place.x_ranges[index], margin) + base[0] + shift[0]
        y = _uniform(rng, place.y_ranges[index], margin) + base[1] + shift[1]
        z = place.z_offset + base[2] + shift[2] - place.bottom_z
        if place.keep_apart and any(_collides(place, (x, y, z), *other) for other in earlier):
            continue
        return Pose(np.array((x, y, z)), _draw_quat(place, rng))
    raise NoRoomError(place.name)


def _uniform(rng: Generator, interval: tuple[float, float], margin: float) -> float:
    return float(rng.uniform(low=interval[0] + margin, high=interval[1] - margin))


def _reference(
    place: Placement, earlier: Mapping[str, tuple[Placement, Pose]], data: mujoco.MjData
) -> tuple[Array, Array]:
    """What the drawn offset is added to: a point, and a site's offset from it."""
    shift = np.zeros(3)
    if place.relative_to is None:
        return np.array(place.origin), shift
    other, pose = earlier[place.relative_to]
    base = np.array(pose.pos)
    if not place.inside:
        base += np.array((0, 0, other.top_z))
    if place.site is not None:
        turn = kernels().rotation_matrix(pose.quat[[1, 2, 3, 0]])
        shift = turn @ data.site_xpos[place.site]
    return base, shift


def _collides(
    place: Placement, pos: tuple[float, float, float], other: Placement, pose: Pose
) -> bool:
    x, y, z = pos
    apart = np.linalg.norm((x - pose.pos[0], y - pose.pos[1]))
    near = apart <= other.radius + place.radius
    return bool(near and z - pose.pos[2] <= other.top_z - place.bottom_z)


def _draw_quat(place: Placement, rng: Generator) -> Array:
    if not place.composed:
        ((axis, low, high),) = place.turns
        half = rng.uniform(low=low, high=high) / 2
        number = {"x": 0, "y": 1, "z": 2}[axis]
        quat = np.zeros(4)
        if place.scalar_first:
            quat[0], quat[1 + number] = np.cos(half), np.sin(half)
        else:
            quat[number], quat[3] = np.sin(half), np.cos(half)
        return quat
    product = np.array([0.0, 0.0, 0.0, 1.0])
    for axis, low, high in place.turns:
        half = rng.uniform(low=low, high=high) / 2
        turn = np.zeros(4)
        turn["xyz".index(axis)], turn[3] = np.sin(half), np.cos(half)
        product = _multiply_rounded(turn, product)
    return product


def _multiply_rounded(one: Array, other: Array) -> Array:
    """The quaternion product one * other (xyzw), rounded to single precision as upstream does."""
    x0, y0, z0, w0 = other
    x1, y1, z1, w1 = one
    product = np.array(
        (
            x1 * w0 + y1 * z0 - z1 * y0 + w1 * x0,
            -x1 * z0 + y1 * w0 + z1 * x0 + w1 * y0,
            x1 * y0 - y1 * x0 + z1 * w0 + w1 * z0,
            -x1 * x0 - y1 * y0 - z1 * z0 + w1 * w0,
        ),
        dtype=np.float32,
    )
    return product.astype(np.float64)
