"""Drawers, knobs and doors."""

from collections.abc import Callable

import mujoco
import numpy as np
from numpy.typing import NDArray

from .grasps import across_narrowest
from .handling import travel
from .motion import CLOSE, OPEN, Arm, Motion, Pose, facing, rotated
from .world import Array, World

_UP = np.array([0.0, 0.0, 1.0])
_PAST_RAD, _PAST_M = 0.1, 0.005
"""How far beyond the goal's threshold a knob is turned and a drawer pulled."""

_KNOB_DEPTH_M = 0.016
"""How far below a knob's top it is gripped."""

_LEAN_RAD = 0.5
"""By how much the fingers point back at the robot when they grip a knob: straight down, the arm
cannot reach so near to its base."""

_BEFORE_M = 0.09
"""From where a handle is approached."""
_BEFORE_PUSH_M = 0.04


def is_drawer(world: World, joint: int) -> bool:
    """Whether the joint slides."""
    return bool(world.model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE)


def position(world: World, joint: int) -> float:
    """The joint's position, m or rad."""
    return float(world.data.qpos[world.model.jnt_qposadr[joint]])


def turn_knob(arm: Arm, joint: int, goal_rad: float) -> Motion:
    """Grip the stove's knob and turn it."""
    world = arm.world
    grasp = _leaning(world, across_narrowest(world, _parts(world, joint), _KNOB_DEPTH_M))
    yield from free_hand(arm)
    yield from travel(arm, grasp)
    yield from arm.grab()
    way = goal_rad - position(world, joint)
    way += np.copysign(_PAST_RAD, way)
    turned = Pose(grasp.pos, rotated(np.array(world.data.xaxis[joint]), 1.3 * way) @ grasp.turn)
    yield from arm.reach(turned, until=_beyond(world, joint, way))
    yield from arm.let_go()
    yield from arm.reach(Pose(world.grip_pos + 0.1 * _UP, world.grip_turn), within_m=0.02)


def pull_drawer(arm: Arm, joint: int, goal_m: float) -> Motion:
    """Grip a drawer's handle from the front and pull.

    Args:
        arm: the arm.
        joint: the drawer's, which closes with growing position.
        goal_m: the position to pull it beyond.
    """
    world = arm.world
    inward = np.array(world.data.xaxis[joint])
    handle, upright = handle_of(world, joint), world.grip_turn
    grasp = Pose(handle, _nearest(world, inward, _UP))
    yield from free_hand(arm)
    yield from travel(arm, grasp.shifted(-_BEFORE_M * inward))
    yield from arm.reach(grasp, speed=0.6)
    yield from arm.grab()
    way = goal_m - position(world, joint)
    way += np.copysign(_PAST_M, way)
    pulled = grasp.shifted(inward * (way - 0.006))
    yield from arm.reach(pulled, speed=0.8, until=_beyond(world, joint, way))
    yield from arm.let_go()
    back = Pose(world.grip_pos - 0.05 * inward + 0.03 * _UP, world.grip_turn)
    yield from arm.reach(back, within_m=0.03)
    yield from arm.reach(Pose(back.pos - 0.03 * inward + 0.04 * _UP, upright), within_m=0.04)


def push_drawer(arm: Arm, joint: int) -> Motion:
    """Push a drawer shut with closed fingers, the hand leaning back from the cabinet."""
    world = arm.world
    inward = np.array(world.data.xaxis[joint])
    slanted = (inward - _UP) / np.sqrt(2.0)
    turn = _nearest(world, slanted, np.cross(inward, _UP))
    arm.fingers = CLOSE
    handle = handle_of(world, joint)
    yield from travel(arm, Pose(handle - _BEFORE_PUSH_M * inward, turn))
    limit = float(world.model.jnt_range[joint, 1])
    way = limit - position(world, joint)
    pushed = Pose(handle + inward * (way + 0.02), turn)
    yield from arm.reach(pushed, speed=0.5, until=lambda: position(world, joint) > limit - 0.002)
    yield from arm.reach(Pose(world.grip_pos - 0.08 * inward, turn), within_m=0.02)


def handle_of(world: World, joint: int) -> Array:
    """Centre of a drawer's handle: of the part that sticks out farthest, m [3]."""
    centres = world.boxes(_parts(world, joint)).centres
    inward = np.array(world.data.xaxis[joint])
    return np.array(centres[int(np.argmin(centres @ inward))])


def _leaning(world: World, grasp: Pose) -> Pose:
    """The grasp with the hand tilted away from the robot's base, about the line of the fingers."""
    fingers = grasp.turn[:, 0]
    back = np.cross(fingers, _UP)
    back *= np.sign(back @ (world.pos(world.robot_root) - grasp.pos))
    approach = np.sin(_LEAN_RAD) * back - np.cos(_LEAN_RAD) * _UP
    return Pose(grasp.pos, facing(approach, fingers))


def _parts(world: World, joint: int) -> NDArray[np.intp]:
    """Collision geoms of the body that the joint moves."""
    body = int(world.model.jnt_bodyid[joint])
    geoms = world.geoms([world.root(body)])
    return np.asarray(geoms[world.model.geom_bodyid[geoms] == body], np.intp)


def free_hand(arm: Arm) -> Motion:
    """Open the fingers, where they are not."""
    if arm.fingers != OPEN:
        yield from arm.let_go()


def _beyond(world: World, joint: int, way: float) -> Callable[[], bool]:
    """Whether the joint has by now moved as far as `way` from where it is."""
    start = position(world, joint)
    return lambda: abs(position(world, joint) - start) >= abs(way)


def _nearest(world: World, approach: Array, fingers: Array) -> Array:
    """Of the two orientations that differ by half a turn, the one nearer to the hand's."""
    options = [facing(approach, fingers), facing(approach, -fingers)]
    return max(options, key=lambda turn: float(np.trace(turn.T @ world.grip_turn)))
