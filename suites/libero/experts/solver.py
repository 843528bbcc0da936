"""From a task's goal to motions: one expert for all tasks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..goal import Goal
from ..scene_spec import GoalTest, JointTest, RegionTest, StackedTest
from .fixtures import is_drawer, position, pull_drawer, push_drawer, turn_knob
from .grasps import PUSHED
from .handling import holds, pick, place, push
from .microwave import close_door, insert
from .motion import Arm, Motion
from .targets import target_of
from .world import World

if TYPE_CHECKING:
    from ..env import LiberoEnv

_OPEN_M = -0.12
"""A drawer that is to be filled is opened at least so far."""


class ScriptedExpert:
    """Implements `sfbench.contracts.Expert`: works off the goal's tests until all hold."""

    def __init__(self, env: "LiberoEnv") -> None:
        self._world = World(env)
        self._arm = Arm(self._world)
        self._tests = ordered(env.scene.goal)
        self._motion = self._solve()

    def act(self) -> NDArray[np.float64]:
        """The next action; when all is done, to stay."""
        return next(self._motion)

    def _solve(self) -> Motion:
        while True:
            for number, test in enumerate(self._tests):
                if not self._holds(test):
                    yield from self._attempt(number)
            yield from self._arm.stay(2)

    def _attempt(self, number: int) -> Motion:
        test = self._tests[number]
        if isinstance(test, JointTest):
            yield from self._move_joint(test)
        else:
            yield from self._bring(number)

    def _move_joint(self, test: JointTest) -> Motion:
        joint = self._joint_at(test.qpos[0])
        if self._is_microwave(int(self._world.model.jnt_bodyid[joint])):
            yield from close_door(self._arm, joint)
        elif not is_drawer(self._world, joint):
            yield from turn_knob(self._arm, joint, test.threshold)
        elif test.comparison.startswith("<"):
            yield from pull_drawer(self._arm, joint, test.threshold)
        else:
            yield from push_drawer(self._arm, joint)

    def _bring(self, number: int) -> Motion:
        test = self._tests[number]
        assert not isinstance(test, JointTest)
        if isinstance(test, RegionTest):
            yield from self._open_up(test)
        body = test.upper if isinstance(test, StackedTest) else test.body
        if self._world.category(body) in PUSHED:
            yield from push(self._arm, body, target_of(self._world, self._tests, number).pos[:2])
            return
        if isinstance(test, RegionTest) and self._is_microwave(
            int(self._world.model.site_bodyid[test.site])
        ):
            yield from insert(self._arm, body, test.site)
            return
        target = target_of(self._world, self._tests, number)
        yield from pick(self._arm, body, target.pos)
        if holds(self._world, body):
            yield from place(self._arm, body, target.pos, target.drop_m)

    def _open_up(self, test: RegionTest) -> Motion:
        """Open the drawer that the region lies in."""
        model = self._world.model
        body = model.site_bodyid[test.site]
        joint = int(model.body_jntadr[body])
        slides = joint >= 0 and model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_SLIDE
        if slides and position(self._world, joint) > _OPEN_M:
            yield from pull_drawer(self._arm, joint, _OPEN_M)

    def _is_microwave(self, body: int) -> bool:
        return self._world.category(self._world.root(body)) == "microwave"

    def _joint_at(self, qpos: int) -> int:
        return int(np.flatnonzero(self._world.model.jnt_qposadr == qpos)[0])

    def _holds(self, test: GoalTest) -> bool:
        return Goal([test], self._world.data, self._world.model.ngeom).reached()


def ordered(tests: Sequence[GoalTest]) -> list[GoalTest]:
    """What is turned on or opened first, then objects, then what is closed."""

    def rank(test: GoalTest) -> int:
        if not isinstance(test, JointTest):
            return 1
        return 2 if test.every else 0

    return sorted(tests, key=rank)
