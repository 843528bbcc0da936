"""How each kind of object is gripped, and the choice among its grasps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .motion import Pose, facing
from .world import Array, Boxes, World

DOWN = np.array([0.0, 0.0, -1.0])
TIP_M = 0.012
"""How far the fingertips reach beyond the grip."""
_CLEARANCE_M = 0.006
_RISES_M = (0.0, 0.04, 0.08, 0.12)
_FINGER_WIDTH_M = 0.022
_WALL_M = 0.008
_WIDEST_M = 0.072
"""The fingers open to 0.08 m."""


@dataclass(frozen=True, slots=True)
class Across:
    """From above, the fingers on both sides of the object where it is narrow.

    Attributes:
        depth_m: of the grip below the object's top; the palm is 2.6 cm above the grip.
    """

    depth_m: float = 0.02


@dataclass(frozen=True, slots=True)
class Rim:
    """From above, a finger on each side of a wall.

    Attributes:
        centre_m: of the wall's circle, in the body's frame [3]; z is the rim's height.
        radius_m: of the middle of the wall.
        depth_m: of the grip below the rim.
        handle: direction (x, y) of a handle to keep away from, or None.
    """

    centre_m: tuple[float, float, float]
    radius_m: float
    depth_m: float = 0.013
    handle: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """From above, at a given point of the body.

    Attributes:
        point_m: in the body's frame [3].
        fingers: the direction between the fingers, in the body's frame [3].
    """

    point_m: tuple[float, float, float]
    fingers: tuple[float, float, float]


PUSHED = frozenset({"plate"})
"""What is not lifted, but pushed."""

GRASPS: Mapping[str, Across | Rim | Point] = {
    "akita_black_bowl": Rim((0.0, 0.0, 0.052), 0.048, depth_m=0.018),
    "porcelain_mug": Rim((0.017, -0.001, 0.109), 0.042, handle=(-1.0, 0.0)),
    "white_yellow_mug": Rim((-0.018, 0.0, 0.103), 0.042, handle=(1.0, 0.0)),
    "red_coffee_mug": Rim((-0.014, -0.003, 0.13), 0.037, handle=(1.0, 0.0)),
    "moka_pot": Point((0.0, 0.072, 0.047), (1.0, 0.0, 0.0)),
    "wine_bottle": Across(0.018),
}
"""By category; anything else is gripped `Across`."""


def choose(world: World, body: int, way: Array) -> Pose:
    """The grasp of an object that keeps clear of everything else and turns the hand least.

    Args:
        world: the scene.
        body: the object.
        way: from where the object is to where it will be let go, m [3]. Where there are many ways
            to grip it, one is chosen that leaves room for the hand there too.
    """
    kind = GRASPS.get(world.category(body), Across())
    others = world.obstacles([body])
    if isinstance(kind, Rim):
        rims = _rim(world, body, kind)
        candidates = [(pose, _cost(pose.shifted(way), others)) for pose in rims]
    elif isinstance(kind, Across):
        candidates = list(_across(world, world.geoms([body]), kind.depth_m))
    else:
        return _point(world, body, kind)
    costs = [extra + _cost(pose, others) for pose, extra in candidates]
    return candidates[int(np.argmin(costs))][0]


def reach_below(turn: Array) -> float:
    """How far the lowest part of the hand is below the grip, in an orientation [3, 3]; m."""
    return float(-(_HAND_POINTS @ turn.T)[:, 2].min())


def _cost(pose: Pose, others: Boxes) -> float:
    points = pose.pos + _HAND_POINTS @ pose.turn.T
    # The hand comes from above, and leaves that way.
    swept = np.concatenate([points + np.array([0.0, 0.0, rise]) for rise in _RISES_M])
    return 200.0 * float(others.depth(swept, _CLEARANCE_M).sum()) + _turn_cost(pose)


def _turn_cost(pose: Pose) -> float:
    """Share of a half turn between the pose's fingers and the robot's at rest (along y)."""
    return float(np.arccos(np.clip(pose.turn[1, 0], -1.0, 1.0)) / np.pi)


def upright(pos: Array, yaw: float) -> Pose:
    """Looking down, the fingers along `yaw` taken modulo half a turn, into 0 to pi."""
    yaw = yaw % np.pi
    return Pose(pos, facing(DOWN, np.array([np.cos(yaw), np.sin(yaw), 0.0])))


def across_narrowest(world: World, geoms: NDArray[np.intp], depth_m: float) -> Pose:
    """The grasp from above across the narrowest side of some geoms."""
    candidates = _across(world, geoms, depth_m)
    return min(candidates, key=lambda pair: pair[1] + 0.05 * _turn_cost(pair[0]))[0]


def _across(world: World, geoms: NDArray[np.intp], depth_m: float) -> Iterator[tuple[Pose, float]]:
    corners = world.boxes(geoms).corners()
    low, high = corners[..., 2].min(axis=1), corners[..., 2].max(axis=1)
    height = max(high.max() - depth_m, low.min() + TIP_M + 0.003)
    level = corners[(low < height + 0.008) & (high > height - 0.01)].reshape(-1, 3)[:, :2]
    axes = world.turn(int(world.model.geom_bodyid[geoms[0]]))[:2]
    yaws = {float(np.arctan2(*axes[::-1, i])) for i in range(3) if np.hypot(*axes[:, i]) > 0.9}
    yaws |= {step * np.pi / 12 for step in range(12)}
    for yaw in sorted(yaws):
        along = np.array([np.cos(yaw), np.sin(yaw)])
        side = np.array([-along[1], along[0]])
        spans = [(float((level @ d).min()), float((level @ d).max())) for d in (along, side)]
        width = spans[0][1] - spans[0][0]
        if width < _WIDEST_M:
            room = spans[1][1] - spans[1][0] - _FINGER_WIDTH_M
            for share in (0.0, -0.5, 0.5):
                across, beside = sum(spans[0]) / 2, sum(spans[1]) / 2 + share * max(room, 0.0)
                pos = np.array([*(along * across + side * beside), height])
                # A narrow grip holds better, above all across parallel faces; so does the middle.
                yield upright(pos, yaw), 20.0 * width + abs(share)


def _rim(world: World, body: int, kind: Rim) -> Iterator[Pose]:
    origin, turn = world.pos(body), world.turn(body)
    middle = np.array(kind.centre_m)
    walls = (world.boxes(world.geoms([body])).centres - origin) @ turn - middle
    # The wall is made of flat pieces; fingers that meet a seam between two of them slip.
    for x, y in walls[np.abs(np.hypot(*walls.T[:2]) - kind.radius_m) < _WALL_M][:, :2]:
        out = np.array([x, y, 0.0]) / np.hypot(x, y)
        if kind.handle is not None and out[:2] @ np.array(kind.handle) > 0.3:
            continue
        centre = middle - np.array([0.0, 0.0, kind.depth_m])
        pos = origin + turn @ (centre + kind.radius_m * out)
        radial = turn @ out
        yield upright(pos, float(np.arctan2(radial[1], radial[0])))


def _point(world: World, body: int, kind: Point) -> Pose:
    turn = world.turn(body)
    axis = turn @ np.array(kind.fingers)
    pos = world.pos(body) + turn @ np.array(kind.point_m)
    return upright(pos, float(np.arctan2(axis[1], axis[0])))


def _grid(low: Array, high: Array, counts: tuple[int, int, int]) -> Array:
    axes = [np.linspace(low[i], high[i], counts[i]) for i in range(3)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _hand_points() -> Array:
    """Points in the open gripper's volume, in the grip's frame (sizes from its collision geoms)."""
    finger = _grid(np.array([0.038, -0.011, -0.045]), np.array([0.062, 0.011, 0.014]), (3, 3, 7))
    palm = _grid(np.array([-0.105, -0.034, -0.12]), np.array([0.105, 0.034, -0.024]), (9, 3, 5))
    wrist = _grid(np.array([-0.06, -0.06, -0.28]), np.array([0.06, 0.06, -0.14]), (3, 3, 4))
    return np.concatenate([finger, finger * [-1, 1, 1], palm, wrist])


_HAND_POINTS = _hand_points()
