"""Putting a mug into the microwave from the front, and shutting its door."""

import numpy as np

from .fixtures import free_hand, position
from .handling import still_holds, travel
from .motion import CLOSE, Arm, Motion, Pose, facing
from .world import Array, World

_UP = np.array([0.0, 0.0, 1.0])

_HANDLE_M = np.array([0.064, 0.0, 0.06])
"""The middle of the yellow and white mug's handle, in the mug's frame, away from the mug."""
_TILT_RAD = 0.5
"""By how much the hand points down, so that the wrist stays clear of the table."""
_CLEAR_M = 0.02
"""Height of the mug over the microwave's floor while it goes in."""
_PLACE_M = np.array([-0.035, -0.015, 0.0])
"""Where in the region the mug goes, in the microwave's frame: away from the panel on the right,
and so deep that the door does not meet the handle."""

_PUSH_AT_M = 0.17
"""Distance from the hinge at which the door is pushed."""
_OVER_DOOR_M = 0.025
"""How far the grip stays below the door's upper edge; the palm passes above it."""
_BEHIND_M, _THROUGH_M = 0.07, 0.02
"""Where the fingers start, before the door's face, and where they aim for, beyond it."""
_SHUT_RAD = -0.003


def insert(arm: Arm, mug: int, site: int) -> Motion:
    """Grip the mug by its handle and push it in.

    Args:
        arm: the arm.
        mug: its body.
        site: the region inside the microwave.
    """
    world = arm.world
    outward = world.turn(mug) @ np.array([1.0, 0.0, 0.0])
    approach = -np.cos(_TILT_RAD) * outward - np.sin(_TILT_RAD) * _UP
    turn = facing(approach, np.cross(_UP, -outward))
    if float(turn[:, 0] @ world.grip_turn[:, 0]) < 0:
        turn = facing(approach, np.cross(_UP, outward))
    handle = world.pos(mug) + world.turn(mug) @ _HANDLE_M
    grasp = Pose(handle, turn)
    yield from free_hand(arm)
    yield from travel(arm, grasp.shifted(0.08 * outward + 0.03 * _UP))
    yield from arm.reach(grasp, speed=0.5, within_m=0.004)
    yield from arm.grab()
    yield from arm.reach(grasp.shifted(0.04 * _UP), speed=0.5, within_m=0.01)
    if (yield from still_holds(arm, mug)):
        yield from _slide_in(arm, mug, site)


def _slide_in(arm: Arm, mug: int, site: int) -> Motion:
    world = arm.world
    oven = int(world.model.site_bodyid[site])
    inward = world.turn(oven) @ np.array([0.0, 1.0, 0.0])
    matrix = np.array(world.data.site_xmat[site]).reshape(3, 3)
    place = np.array(world.data.site_xpos[site]) + matrix @ _PLACE_M
    # The region reaches from the microwave's floor to its ceiling.
    place[2] -= float(world.model.site_size[site, 2]) - 0.008
    over = place + _CLEAR_M * _UP

    def grip_for(origin: Array) -> Pose:
        return Pose(world.grip_pos + origin - world.pos(mug), world.grip_turn)

    yield from arm.reach(grip_for(over - 0.22 * inward), speed=0.6, within_m=0.01)
    yield from arm.reach(grip_for(over), speed=0.5, within_m=0.008)
    yield from arm.reach(grip_for(place), speed=0.3, until=lambda: world.rests(mug))
    yield from arm.let_go()
    back = Pose(world.grip_pos - 0.12 * inward, world.grip_turn)
    yield from arm.reach(back, speed=0.5, within_m=0.02)


def close_door(arm: Arm, joint: int) -> Motion:
    """Push the door round its hinge with closed fingers, the palm above it."""
    world = arm.world
    arm.fingers = CLOSE
    turn = facing(-_UP, np.array([0.0, 1.0, 0.0]))
    yield from travel(arm, Pose(_before_door(world, joint, 0.0, -_BEHIND_M), turn))
    for _ in range(200):
        if position(world, joint) > _SHUT_RAD:
            break
        # A little further along the circle than the door is now.
        ahead = min(0.25, -position(world, joint))
        yield arm.toward(Pose(_before_door(world, joint, ahead, _THROUGH_M), turn), 0.6)
    away = Pose(_before_door(world, joint, 0.0, -0.1), turn)
    yield from arm.reach(away, within_m=0.02)


def _before_door(world: World, joint: int, ahead_rad: float, beyond_m: float) -> Array:
    """A point at the door's outer face, once the door has turned on by an angle, m [3]."""
    hinge = np.array(world.data.xanchor[joint])
    body = int(world.model.jnt_bodyid[joint])
    corners = world.boxes(world.geoms([world.root(body)])).corners()
    parts = world.model.geom_bodyid[world.geoms([world.root(body)])] == body
    door = corners[parts].reshape(-1, 3)
    along = door[:, :2].mean(axis=0) - hinge[:2]
    angle = float(np.arctan2(along[1], along[0])) + ahead_rad
    out = np.array([np.cos(angle), np.sin(angle), 0.0])
    # The door shuts with a growing angle about the vertical, so its face is pushed along this.
    pushing = np.array([-out[1], out[0], 0.0])
    top = float(door[:, 2].max()) - _OVER_DOOR_M
    return np.array([*(hinge + _PUSH_AT_M * out + beyond_m * pushing)[:2], top])
