"""Tool paths for one arm: straight where the joints allow it, smooth, and within speed limits."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..pose import Array, Pose, angle_between
from ..robot.kinematics import Solution, arm_kinematics
from ..robot.panda import MAX_JOINT_SPEED, Side
from ..scene.room import CONTROL_HZ, base_pos

SPEED_M_S, SPEED_RAD_S = 0.45, 2.4
"""Peak speeds of the tool on a path."""

_JOINT_STEP = 0.85 * np.asarray(MAX_JOINT_SPEED) / CONTROL_HZ
"""Joint change that a path may use in a control step, rad: a share of the real arm's limits."""

_DETOUR = 2.0
"""A straight path whose joints would turn this much too fast runs into a joint limit."""

_SHORT_LIST = 4
"""How many of several equal poses have their whole path tried."""

_PEAK = 1.875
"""Peak over mean speed of a minimum-jerk profile."""


class Waypoint(NamedTuple):
    """Where an arm is told to be at one control step."""

    pose: Pose
    """Of the tool, in the table frame."""
    qpos: Array
    """Seven joint angles, rad."""


Path = list[Waypoint]
"""One waypoint a control step, the start left out."""


class NoWayError(Exception):
    """An expert knows no way on, as after a push has turned what it holds: its attempt fails."""


class PathPlanner:
    """Plans moves of one arm from any waypoint."""

    def __init__(self, side: Side, rise_m: float = 0.0) -> None:
        self._solver = arm_kinematics()
        base = Pose.of(base_pos(side), (np.sqrt(0.5), 0, 0, np.sqrt(0.5)))
        self._base = base.raised(rise_m)
        self._to_base = self._base.inverse()

    def waypoint(self, qpos: Array) -> Waypoint:
        """The waypoint of some joint angles."""
        return Waypoint(self._base @ self._solver.forward(qpos), qpos)

    def plan(self, start: Waypoint, goal: Pose, speed: float, at_least_s: float = 0.0) -> Path:
        """A move to `goal`: straight, or through joint space where a joint limit is in the way.

        Args:
            start: where the move begins, at rest.
            goal: tool pose in the table frame.
            speed: factor on the peak speeds.
            at_least_s: the shortest duration allowed.
        """
        seconds = max(_tool_time(start.pose, goal, speed), at_least_s)
        for _ in range(3):
            path = self.straight(start, goal, seconds)
            excess = _excess(start, path)
            if excess <= 1:
                return path
            if excess > _DETOUR:
                break
            seconds *= 1.05 * excess
        return self._through_joints(start, goal, at_least_s) or path

    def nearest(self, start: Waypoint, poses: Sequence[Pose]) -> Pose:
        """The pose that is best to move to on a straight line, among equal ones (a grasp, turned).

        Where the joints would have to go far or near their limits is ruled out first, by inverse
        kinematics at the end alone; what is left is decided by whole paths, because a path may
        run into a joint limit that its end is clear of.

        Raises:
            NoWayError: no pose was given, because none of the task's is fit in this state.
        """
        if not poses:
            raise NoWayError

        def end_cost(pose: Pose) -> tuple[bool, float]:
            found = self._solve(pose, start.qpos, 60)
            change = float(np.abs(found.qpos - start.qpos).max())
            return not found.reaches(), change + self._solver.limit_share(found.qpos)

        def path_cost(pose: Pose) -> tuple[bool, float]:
            seconds = _tool_time(start.pose, pose, 1.0)
            path = self.straight(start, pose, seconds)
            end = path[-1].qpos
            missed = not self._solve(pose, end, 1).reaches()
            # Ending at a joint's limit instead of at its middle counts as much as one second.
            return missed, seconds * max(1.0, _excess(start, path)) + self._solver.limit_share(end)

        return min(sorted(poses, key=end_cost)[:_SHORT_LIST], key=path_cost)

    def straight(self, start: Waypoint, goal: Pose, seconds: float) -> Path:
        """A straight minimum-jerk move of that duration, whether or not the joints can follow."""
        path, qpos = [], start.qpos
        for share in _shares(seconds):
            pose = _between(start.pose, goal, share)
            qpos = self._solve(pose, qpos).qpos
            path.append(Waypoint(pose, qpos))
        return path

    def _through_joints(self, start: Waypoint, goal: Pose, at_least_s: float) -> Path | None:
        for seed in (start.qpos, self._solver.posture):
            found = self._solve(goal, seed, 60)
            if found.reaches():
                change = found.qpos - start.qpos
                steps = _PEAK * float(np.max(np.abs(change) / _JOINT_STEP))
                seconds = max(steps / CONTROL_HZ, at_least_s)
                return [self.waypoint(start.qpos + share * change) for share in _shares(seconds)]
        return None

    def _solve(self, pose: Pose, start: Array, iterations: int = 10) -> Solution:
        return self._solver.solve(self._to_base @ pose, start, iterations)


def _tool_time(start: Pose, goal: Pose, speed: float) -> float:
    length = float(np.linalg.norm(goal.pos - start.pos))
    angle = angle_between(goal.quat, start.quat)
    mean_s = max(length / SPEED_M_S, angle / SPEED_RAD_S) / speed
    return max(_PEAK * mean_s, 2 / CONTROL_HZ)


def _excess(start: Waypoint, path: Path) -> float:
    """The largest joint speed of a path, as a multiple of what paths may use."""
    joints = np.stack([start.qpos, *(waypoint.qpos for waypoint in path)])
    return float(np.max(np.abs(np.diff(joints, axis=0)) / _JOINT_STEP))


def _shares(seconds: float) -> list[float]:
    """How much of a minimum-jerk move is done after each control step."""
    count = max(int(np.ceil(seconds * CONTROL_HZ - 1e-9)), 1)
    times = np.arange(1, count + 1) / count
    return list(times**3 * (10 + times * (6 * times - 15)))


def _between(start: Pose, end: Pose, share: float) -> Pose:
    other = end.quat if float(start.quat @ end.quat) >= 0 else -end.quat
    angle = float(np.arccos(np.clip(start.quat @ other, -1, 1)))
    if angle < 1e-6:
        quat = other
    else:
        weights = np.sin([(1 - share) * angle, share * angle]) / np.sin(angle)
        quat = weights[0] * start.quat + weights[1] * other
    return Pose.of(start.pos + share * (end.pos - start.pos), quat)
