"""From actions to servo targets and, for experts, back."""

from typing import Protocol

import numpy as np

from .config import ActionSpace
from .expert.arm import ArmDriver
from .pose import Array, Pose
from .robot.kinematics import arm_kinematics
from .robot.panda import HOME_QPOS, MAX_JOINT_SPEED, Side
from .scene.room import CONTROL_HZ, base_pos
from .scene.view import Scene

_MAX_STEP = np.asarray(MAX_JOINT_SPEED) / CONTROL_HZ
"""Largest change of a joint's target in a control step, rad: the real arm's speed limits."""

MAX_OPENING_STEP = 0.125
"""Largest change of a gripper's target in a control step: 0.1 m/s for each finger."""


class Control(Protocol):
    """Reads and writes actions of one action space. Keeps no state: that is in the servos."""

    def apply(self, scene: Scene, action: Array) -> None:
        """Set the servo targets for one control step; `action` is within bounds."""

    def encode(self, arms: dict[Side, ArmDriver]) -> Array:
        """The action that asks for the drivers' targets."""


class QposControl:
    """Per arm seven joint angles and the gripper's opening."""

    def apply(self, scene: Scene, action: Array) -> None:
        """Joint targets follow the action as fast as the arm's joints may turn."""
        for side, part in zip(Side, action.reshape(2, 8), strict=True):
            _follow(scene, side, part[:7], float(part[7]))

    def encode(self, arms: dict[Side, ArmDriver]) -> Array:
        """The drivers' joint targets and openings."""
        return np.concatenate([[*arms[side].qpos, arms[side].opening] for side in Side])


class EeControl:
    """Per arm the tool's position and quaternion in the table frame, and the gripper's opening.

    The frame is fixed to the robot: where the table stands lower than usual, its top is not at 0.

    Inverse kinematics starts from the servos' targets, so an unreachable pose leads to the
    nearest the arm gets to, and a pose held is a target held.
    """

    def __init__(self) -> None:
        self._solver = arm_kinematics()
        turn = (np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))
        self._to_base = {side: Pose.of(base_pos(side), turn).inverse() for side in Side}
        home = self._solver.forward(np.asarray(HOME_QPOS))
        self._home_quat = {side: (self._to_base[side].inverse() @ home).quat for side in Side}

    def apply(self, scene: Scene, action: Array) -> None:
        """Joint targets move towards the pose as fast as the arm's joints may turn."""
        for side, part in zip(Side, action.reshape(2, 8), strict=True):
            start = scene.arm_target(side)
            target = self._to_base[side] @ self._pose(side, part, start)
            found = self._solver.solve(target, start)
            _follow(scene, side, found.qpos, float(part[7]))

    def encode(self, arms: dict[Side, ArmDriver]) -> Array:
        """The drivers' tool poses (quaternions on the side of home's) and openings."""
        rows = []
        for side in Side:
            pose = arms[side].robot_pose
            sign = -1.0 if pose.quat @ self._home_quat[side] < 0 else 1.0
            rows.append([*pose.pos, *(sign * pose.quat), arms[side].opening])
        return np.concatenate(rows)

    def _pose(self, side: Side, part: Array, start: Array) -> Pose:
        norm = float(np.linalg.norm(part[3:7]))
        if norm > 1e-6:
            return Pose(part[:3], part[3:7] / norm)
        # Four zeros name no rotation: keep the one the servos hold.
        held = self._to_base[side].inverse() @ self._solver.forward(start)
        return Pose(part[:3], held.quat)


def make_control(space: ActionSpace) -> Control:
    """The control of an action space."""
    return EeControl() if space is ActionSpace.EE else QposControl()


def _follow(scene: Scene, side: Side, qpos: Array, opening: float) -> None:
    start, grip = scene.arm_target(side), scene.grip_target(side)
    # All joints are slowed down alike, so that the arm keeps to the straight line between targets.
    excess = float(np.max(np.abs(qpos - start) / _MAX_STEP))
    scene.command(
        side,
        start + (qpos - start) / max(excess, 1.0),
        grip + float(np.clip(opening - grip, -MAX_OPENING_STEP, MAX_OPENING_STEP)),
    )
