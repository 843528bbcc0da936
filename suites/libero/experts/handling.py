"""Picking objects up and putting them down."""

from collections.abc import Callable, Generator

import numpy as np

from .grasps import choose, reach_below
from .motion import CLOSE, Arm, Motion, Pose, facing
from .world import Array, World

_UP = np.array([0.0, 0.0, 1.0])
_HAND_RADIUS_M = 0.08
_GAP_M = 0.025
_ASIDE_M = 0.01

_LEAN_RAD = 0.5
_CRADLE_M = 0.065
"""From the open fingers behind a dish to its centre."""
_ABOVE_TABLE_M = -0.003
_PUSHED_WITHIN_M = 0.012
_PUSH_STEPS = 100
_LOOK_AHEAD_M = 0.025

_HELD_OPENING_M = 0.002
"""Fingers that close on nothing end up nearer than this."""
_SLIP_STEPS = 3
"""What slips a little in the hand is not touched for a step or two, and then held again."""


def travel(arm: Arm, target: Pose, carried: int | None = None) -> Motion:
    """Go over everything in between, then straight down to the target.

    Args:
        arm: the arm.
        target: where to.
        carried: the object in the hand; once it is lost, so is the reason to go on.
    """
    world = arm.world
    below = max(reach_below(world.grip_turn), reach_below(target.turn))
    without: list[int] = []
    if carried is not None:
        below = max(below, world.grip_pos[2] - _bottom(world, carried))
        without = [carried]
    here = world.grip_pos
    top = world.top_along(here[:2], target.pos[:2], _HAND_RADIUS_M, without)
    height = max(top + below + _GAP_M, target.pos[2])
    rising = Pose(np.array([*here[:2], max(height, here[2])]), world.grip_turn)
    above = Pose(np.array([*target.pos[:2], height]), target.turn)

    lost = _watch(world, carried)
    if here[2] < height - 0.02:
        yield from arm.reach(rising, within_m=0.03, until=lost)
    yield from arm.reach(above, within_m=0.03, until=lost)
    yield from arm.reach(target, until=lost)


def pick(arm: Arm, body: int, target: Array) -> Motion:
    """Grip an object that is to go to a point, m [3], and lift it a little."""
    world = arm.world
    if arm.fingers == CLOSE:
        yield from arm.let_go()
    grasp = choose(world, body, target - world.pos(body))
    yield from travel(arm, grasp.shifted(0.06 * _UP))
    grasp = choose(world, body, target - world.pos(body))
    yield from arm.reach(grasp, speed=0.5, within_m=0.004)
    yield from arm.grab()
    lifted = grasp.shifted(0.04 * _UP)
    yield from arm.reach(lifted, speed=0.5, within_m=0.015)
    aside = way_out(world, body)
    if aside.any():
        yield from arm.reach(lifted.shifted(aside), within_m=0.01)


def way_out(world: World, body: int) -> Array:
    """The shortest way along x or y that brings an object from under what overhangs it, m [3]."""
    mine = world.boxes(world.geoms([body])).corners().reshape(-1, 3)
    low, high = mine.min(axis=0) - _ASIDE_M, mine.max(axis=0) + _ASIDE_M
    corners = world.obstacles([body]).corners()
    lows, highs = corners.min(axis=1), corners.max(axis=1)
    over = np.all((lows < high)[:, :2] & (highs > low)[:, :2], axis=1) & (lows[:, 2] > high[2])
    if not over.any():
        return np.zeros(3)
    lows, highs = lows[over].min(axis=0), highs[over].max(axis=0)
    ways = [(axis, float(highs[axis] - low[axis])) for axis in (0, 1)]
    ways += [(axis, float(lows[axis] - high[axis])) for axis in (0, 1)]
    axis, way = min(ways, key=lambda pair: abs(pair[1]))
    aside = np.zeros(3)
    aside[axis] = way
    return aside


def holds(world: World, body: int) -> bool:
    """Whether the fingers are around an object that is near them."""
    near = float(np.linalg.norm(world.pos(body) - world.grip_pos)) < 0.25
    return near and world.opening > _HELD_OPENING_M and world.in_hand(body)


def still_holds(arm: Arm, body: int) -> Generator[Array, None, bool]:
    """Whether the object is in the hand; one that slips between the fingers gets a moment."""
    for _ in range(_SLIP_STEPS):
        if holds(arm.world, body):
            return True
        yield from arm.stay(1)
    return holds(arm.world, body)


def _watch(world: World, body: int | None) -> Callable[[], bool]:
    """Tells, asked once a step, whether the object has been out of the hand for a while."""
    missed = 0

    def lost() -> bool:
        nonlocal missed
        missed = 0 if body is None or holds(world, body) else missed + 1
        return missed > _SLIP_STEPS

    return lost


def place(arm: Arm, body: int, target: Array) -> Motion:
    """Bring the origin of the object in the hand to a point, let go, and retreat.

    Args:
        arm: the arm, holding the object.
        body: the object.
        target: m [3]; lowering ends earlier where the object touches something.
    """
    world = arm.world
    if not (yield from still_holds(arm, body)):
        return
    over = target + 0.04 * _UP
    yield from travel(arm, _carrying(world, body, over), carried=body)
    if not (yield from still_holds(arm, body)):
        return
    lost = _watch(world, body)
    yield from arm.reach(
        _carrying(world, body, target),
        speed=0.4,
        within_m=0.006,
        until=lambda: world.rests(body) or lost(),
    )
    yield from arm.let_go()
    up = Pose(world.grip_pos + 0.08 * _UP, world.grip_turn)
    yield from arm.reach(up, within_m=0.02)


def push(arm: Arm, body: int, target: Array) -> Motion:
    """Push a dish over the table, first along y, then along x.

    The open fingers are behind it, the hand leans over it. Two fingers cradle the round dish, so
    that it does not slip out sideways.

    Args:
        arm: the arm.
        body: the dish; its origin is its centre.
        target: m [2].
    """
    if arm.fingers == CLOSE:
        yield from arm.let_go()
    for axis in (1, 0):
        way = float(target[axis] - arm.world.pos(body)[axis])
        if abs(way) > _PUSHED_WITHIN_M:
            yield from _push_straight(arm, body, np.eye(3)[axis] * way)


def _push_straight(arm: Arm, body: int, way: Array) -> Motion:
    world = arm.world
    length = float(np.linalg.norm(way))
    ahead = way / length
    approach = -np.sin(_LEAN_RAD) * ahead - np.cos(_LEAN_RAD) * _UP
    turn = facing(approach, np.cross(_UP, ahead))
    height = world.pos(body)[2] + reach_below(turn) + _ABOVE_TABLE_M
    start = world.pos(body)
    behind = start - (_CRADLE_M + 0.008) * ahead
    yield from travel(arm, Pose(np.array([*behind[:2], height]), turn))
    for _ in range(_PUSH_STEPS):
        if float((world.pos(body) - start) @ ahead) > length - _PUSHED_WITHIN_M:
            break
        # A near target on the line keeps the fingers low: higher up they slip over the rim.
        done = float((world.grip_pos - behind) @ ahead) + _LOOK_AHEAD_M
        onward = behind + min(done, length + 0.06) * ahead
        yield arm.toward(Pose(np.array([*onward[:2], height]), turn), 0.5)
    # Back first: fingers that lean over the rim would lift it.
    away = Pose(world.grip_pos - 0.03 * ahead, turn)
    yield from arm.reach(away, within_m=0.01)
    yield from arm.reach(away.shifted(0.08 * _UP), within_m=0.02)


def _carrying(world: World, body: int, origin: Array) -> Pose:
    """The grip's pose that brings the held object's origin there, without turning it."""
    return Pose(world.grip_pos + origin - world.pos(body), world.grip_turn)


def _bottom(world: World, body: int) -> float:
    return float(world.boxes(world.geoms([body])).corners()[..., 2].min())
