"""One arm's motion primitives: straight tool paths, timed smoothly within the joints' limits."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..pose import Array, Pose, angle_between
from ..robot.kinematics import ArmKinematics, Solution
from ..robot.panda import MAX_JOINT_SPEED, Side
from ..scene.room import CONTROL_HZ, base_pos
from ..scene.view import Scene

SPEED_M_S, SPEED_RAD_S = 0.45, 2.4
"""Peak speeds of the tool on a path."""

_JOINT_SHARE = 0.85
"""Share of the joints' speed limits that a path may use."""

_PEAK = 1.875
"""Peak over mean speed of a minimum-jerk profile."""

Path = list[tuple[Pose, Array]]
"""Tool poses (table frame) and joint angles, one a control step."""


class ArmDriver:
    """An arm's commanded tool pose (table frame), joint targets and gripper opening."""

    def __init__(self, side: Side, scene: Scene, solver: ArmKinematics) -> None:
        self.side = side
        self.opening = 1.0
        self._scene = scene
        self._solver = solver
        self._base = Pose.of(base_pos(side), (np.sqrt(0.5), 0, 0, np.sqrt(0.5)))
        self._to_base = self._base.inverse()
        self.qpos: Array = scene.arm_target(side).copy()
        self.home: Pose = self._base @ solver.forward(self.qpos)
        self.pose: Pose = self.home

    def reachable(self, pose: Pose) -> bool:
        """Whether the arm can bring its tool there, from where it is."""
        return self._solve(pose, self.qpos, 60).reaches()

    def go(self, *poses: Pose, speed: float = 1.0) -> Iterator[None]:
        """Move the tool through poses on straight lines, resting at each.

        Args:
            poses: in the table frame.
            speed: factor on the peak speeds.
        """
        for pose in poses:
            yield from self.follow(self.path(pose, self.duration(pose, speed)))

    def follow(self, path: Path) -> Iterator[None]:
        """Move along a planned path."""
        for self.pose, self.qpos in path:
            yield

    def grip(self, opening: float, steps: int = 10) -> Iterator[None]:
        """Set the gripper, and give it time."""
        self.opening = opening
        for _ in range(steps):
            yield

    def go_home(self, speed: float = 1.0) -> Iterator[None]:
        """Back to where the episode began."""
        return self.go(self.home, speed=speed)

    def nearest(self, poses: Sequence[Pose]) -> Pose:
        """The pose that costs the joints least (equal grasps, turned); reachable ones first."""

        def cost(pose: Pose) -> tuple[bool, float]:
            found = self._solve(pose, self.qpos, 60)
            middle = (self._solver.low + self._solver.high) / 2
            span = (self._solver.high - self._solver.low) / 2
            near_limit = float(np.max(np.abs(found.qpos - middle) / span))
            return not found.reaches(), float(np.abs(found.qpos - self.qpos).max()) + near_limit

        return min(poses, key=cost)

    def _solve(self, pose: Pose, start: Array, iterations: int = 20) -> Solution:
        return self._solver.solve(self._to_base @ pose, start, iterations)

    def duration(self, goal: Pose, speed: float = 1.0) -> float:
        """Seconds that a straight move needs, within the tool's and the joints' speed limits."""
        length = float(np.linalg.norm(goal.pos - self.pose.pos))
        angle = angle_between(goal.quat, self.pose.quat)
        mean_s = max(length / (SPEED_M_S * speed), angle / (SPEED_RAD_S * speed))
        seconds = max(_PEAK * mean_s, 2 / CONTROL_HZ)
        limit = np.asarray(MAX_JOINT_SPEED) * _JOINT_SHARE / CONTROL_HZ
        for _ in range(4):
            path = self.path(goal, seconds)
            joints = np.stack([self.qpos, *(qpos for _, qpos in path)])
            excess = float(np.max(np.abs(np.diff(joints, axis=0)) / limit))
            if excess <= 1:
                break
            seconds *= excess * 1.05
        return seconds

    def path(self, goal: Pose, seconds: float) -> Path:
        """A straight minimum-jerk move of that duration, one entry a control step."""
        count = int(np.ceil(seconds * CONTROL_HZ - 1e-9))
        path, qpos = [], self.qpos
        for index in range(1, count + 1):
            pose = _between(self.pose, goal, _minimum_jerk(index / count))
            qpos = self._solve(pose, qpos).qpos
            path.append((pose, qpos))
        return path


def _minimum_jerk(t: float) -> float:
    return t**3 * (10 + t * (6 * t - 15))


def _between(start: Pose, end: Pose, share: float) -> Pose:
    other = end.quat if float(start.quat @ end.quat) >= 0 else -end.quat
    angle = float(np.arccos(np.clip(start.quat @ other, -1, 1)))
    if angle < 1e-6:
        quat = other
    else:
        weights = np.sin([(1 - share) * angle, share * angle]) / np.sin(angle)
        quat = weights[0] * start.quat + weights[1] * other
    return Pose.of(start.pos + share * (end.pos - start.pos), quat)
