"""From a task's goal to motions: one expert for all tasks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..goal import Goal
from ..scene_spec import GoalTest, JointTest, RegionTest, StackedTest
from .fixtures import is_drawer, position, pull_drawer, push_drawer, turn_knob
from .grasps import PUSHED
from .handling import pick, place, push, still_holds
from .microwave import close_door, insert
from .motion import Arm, Motion
from .targets import target_of
from .world import World

if TYPE_CHECKING:
    from ..env import LiberoEnv

_OPEN_M = -0.12
"""A drawer that is to be filled is opened so far: farther, it would stand over the bowl that is
still on the table; less, the bowl would not fit in."""


class ScriptedExpert:
    """Implements `sfbench.contracts.Expert`: works off the goal's tests until all hold."""

    def __init__(self, env: "LiberoEnv") -> None:
        # Nothing here refers back to the expert: a cycle would keep the scene's memory for long.
        self._motion = _Solver(World(env), ordered(env.scene.goal)).solve()

    @property
    def is_done(self) -> bool:
        """Never: what came undone is done again."""
        return False

    def act(self) -> NDArray[np.float64]:
        """The next action; when all is done, to stay."""
        return next(self._motion)


class _Solver:
    """Turns tests into motions; what did not work is tried again."""

    def __init__(self, world: World, tests: Sequence[GoalTest]) -> None:
        self._world, self._tests = world, tests
        self._arm = Arm(world)

    def solve(self) -> Motion:
        while True:
            for number, test in enumerate(self._tests):
                if self._holds(test):
                    continue
                if isinstance(test, JointTest):
                    yield from self._move_joint(test)
                else:
                    yield from self._bring(test, number)
            yield from self._arm.stay(2)

    def _move_joint(self, test: JointTest) -> Motion:
        world, arm = self._world, self._arm
        joint = int(np.flatnonzero(world.model.jnt_qposadr == test.qpos[0])[0])
        if _in_microwave(world, int(world.model.jnt_bodyid[joint])):
            yield from close_door(arm, joint)
        elif not is_drawer(world, joint):
            yield from turn_knob(arm, joint, test.threshold)
        elif test.comparison.startswith("<"):
            yield from pull_drawer(arm, joint, test.threshold)
        else:
            yield from push_drawer(arm, joint)

    def _bring(self, test: StackedTest | RegionTest, number: int) -> Motion:
        """Bring the object of a test to where the test holds."""
        world, arm = self._world, self._arm
        body = test.upper if isinstance(test, StackedTest) else test.body
        if isinstance(test, RegionTest):
            holder = int(world.model.site_bodyid[test.site])
            if _in_microwave(world, holder):
                yield from insert(arm, body, test.site)
                return
            yield from self._open_up(holder)
        target = target_of(world, self._tests, number)
        if world.category(body) in PUSHED:
            yield from push(arm, body, target[:2])
            return
        yield from pick(arm, body, target)
        if (yield from still_holds(arm, body)):
            # The region may have moved meanwhile, with the drawer or dish that it belongs to.
            yield from place(arm, body, target_of(world, self._tests, number))

    def _open_up(self, body: int) -> Motion:
        """Open the drawer that a body is, if it is one."""
        joint = int(self._world.model.body_jntadr[body])
        shut = joint >= 0 and is_drawer(self._world, joint)
        if shut and position(self._world, joint) > _OPEN_M:
            yield from pull_drawer(self._arm, joint, _OPEN_M)

    def _holds(self, test: GoalTest) -> bool:
        return Goal([test], self._world.data, self._world.model.ngeom).reached()


def _in_microwave(world: World, body: int) -> bool:
    return world.category(world.root(body)) == "microwave"


def ordered(tests: Sequence[GoalTest]) -> list[GoalTest]:
    """What is turned on or opened first, then objects, then what is closed."""

    def rank(test: GoalTest) -> int:
        if not isinstance(test, JointTest):
            return 1
        return 2 if test.every else 0

    return sorted(tests, key=rank)
