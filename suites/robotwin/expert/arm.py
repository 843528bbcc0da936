"""One arm's motion primitives, as scripts that advance its targets by one control step a time."""

from collections.abc import Iterator, Sequence

from ..pose import Array, Pose
from ..robot.panda import Side
from ..scene.room import CONTROL_HZ
from ..scene.view import Scene
from .paths import Path, PathPlanner


class ArmDriver:
    """An arm's commanded waypoint and gripper opening; every move starts from those."""

    def __init__(self, side: Side, scene: Scene) -> None:
        self._rise_m = scene.rise_m
        self._planner = PathPlanner(side, self._rise_m)
        self._at = self._planner.waypoint(scene.arm_target(side))
        self._home = self._at.pose
        self.opening = scene.grip_target(side)

    @property
    def pose(self) -> Pose:
        """The commanded tool pose, in the table frame."""
        return self._at.pose

    @property
    def robot_pose(self) -> Pose:
        """The commanded tool pose in the frame that is fixed to the robot.

        It is the table's where the table stands at its usual height.
        """
        return self._at.pose.raised(-self._rise_m)

    @property
    def qpos(self) -> Array:
        """The commanded joint angles, rad."""
        return self._at.qpos

    def go(self, *poses: Pose, speed: float = 1.0) -> Iterator[None]:
        """Move the tool through poses on straight lines, resting at each.

        Args:
            poses: in the table frame.
            speed: factor on the peak speeds.
        """
        for pose in poses:
            yield from self.follow(self.plan(pose, speed))

    def go_home(self) -> Iterator[None]:
        """Back to where the tool was when the driver was made."""
        return self.go(self._home)

    def plan(self, pose: Pose, speed: float = 1.0, at_least_s: float = 0.0) -> Path:
        """A path from the commanded waypoint; see `PathPlanner.plan`."""
        return self._planner.plan(self._at, pose, speed, at_least_s)

    def follow(self, path: Path) -> Iterator[None]:
        """Move along a planned path."""
        for self._at in path:
            yield

    def grip(self, opening: float, steps: int = 10) -> Iterator[None]:
        """Set the gripper, and give it time."""
        self.opening = opening
        for _ in range(steps):
            yield

    def nearest(self, poses: Sequence[Pose]) -> Pose:
        """The best of equal poses to move to; see `PathPlanner.nearest`."""
        return self._planner.nearest(self._at, poses)


def seconds_of(path: Path) -> float:
    """A path's duration."""
    return len(path) / CONTROL_HZ
