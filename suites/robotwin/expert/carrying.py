"""Picking things up and putting them down; two arms that take turns."""

from collections.abc import Callable, Sequence

import numpy as np

from ..pose import Array, Pose
from ..robot.panda import Side
from ..scene.view import Scene
from .arm import ArmDriver
from .bimanual import Bimanual, Script
from .grasps import pointing

_ABOVE_M = 0.10
"""Where a tool waits above a grasp or a place, unless told otherwise."""


def side_of(pos: Array) -> Side:
    """The arm on whose half of the table a point lies."""
    return Side.RIGHT if pos[0] > 0 else Side.LEFT


def pick(arm: ArmDriver, grasp: Pose, lift_m: float = 0.12) -> Script:
    """Reach down to the grasp, close the gripper, and rise."""
    yield from arm.go(grasp.raised(_ABOVE_M))
    yield from arm.go(grasp, speed=0.6)
    yield from arm.grip(0.0, steps=12)
    yield from arm.go(grasp.raised(lift_m))


def lift_in_step(robot: Bimanual, grasps: dict[Side, Pose], lift_m: float) -> Script:
    """Both arms to one thing: reach down, close the grippers, and rise together."""
    yield from robot.go_together({side: pose.raised(0.08) for side, pose in grasps.items()})
    yield from robot.go_together(grasps, speed=0.6)
    yield from robot.together(*(robot[side].grip(0.0, steps=14) for side in Side))
    yield from robot.go_together(
        {side: pose.raised(lift_m) for side, pose in grasps.items()}, speed=0.6
    )


def put(robot: Bimanual, side: Side, place: Pose, above_m: float = _ABOVE_M) -> Script:
    """Lower the tool to the place, open the gripper, and rise."""
    arm = robot[side]
    yield from arm.go(place.raised(above_m))
    yield from arm.go(place, speed=0.5)
    yield from robot.wait(3)
    yield from arm.grip(1.0)
    yield from arm.go(place.raised(above_m))


def held(scene: Scene, side: Side, body: str) -> Pose:
    """The tool's pose as seen by what it holds; `goal @ it` brings that to a goal."""
    return scene.pose(body).inverse() @ scene.tcp(side)


def level(pos: Array, approach: Array) -> list[Pose]:
    """The two grasps with the tool level at `pos`, fingers closing sideways."""
    flat = np.array([approach[0], approach[1], 0.0])
    sideways = np.array([-flat[1], flat[0], 0.0])
    return [Pose.of(pos, pointing(flat, sign * sideways)) for sign in (-1.0, 1.0)]


class TakingTurns:
    """Things carried one after another, each by the arm on its side.

    An arm that has put something down goes home while the other fetches.
    """

    def __init__(self, robot: Bimanual, scene: Scene) -> None:
        self._robot = robot
        self._scene = scene
        self._previous: Side | None = None
        self._leave: Script = iter(())

    def carry(
        self,
        body: str,
        grasps: Sequence[Pose],
        goals: Sequence[Pose],
        allow: Callable[[Pose], bool] = lambda place: True,
    ) -> Script:
        """Bring a body to one of some equal goals.

        Args:
            body: what is carried.
            grasps: equal tool poses to hold it with.
            goals: equal poses of the body to leave it at.
            allow: which tool poses may let it go.
        """
        side = side_of(self._scene.pose(body).pos)
        arm = self._robot[side]
        fetch = pick(arm, arm.nearest(grasps))
        if self._previous in (None, side):
            yield from fetch
        else:
            yield from self._robot.together(self._leave, fetch)
        yield from self._robot.wait(3)
        offset = held(self._scene, side, body)
        places = [goal @ offset for goal in goals]
        place = arm.nearest([place for place in places if allow(place)])
        yield from put(self._robot, side, place.raised(0.002))
        self._previous, self._leave = side, arm.go_home()

    def finish(self) -> Script:
        """The last arm goes home."""
        return self._leave
