"""From a task's goal to motions: one expert for all tasks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..goal import Goal
from ..scene_spec import GoalTest, JointTest, StackedTest
from .handling import holds, pick, place
from .motion import Arm, Motion
from .targets import target_of
from .world import World

if TYPE_CHECKING:
    from ..env import LiberoEnv


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
            raise NotImplementedError
        body = test.upper if isinstance(test, StackedTest) else test.body
        yield from pick(self._arm, body)
        if holds(self._world, body):
            target = target_of(self._world, self._tests, number)
            yield from place(self._arm, body, target.pos, target.drop_m)

    def _holds(self, test: GoalTest) -> bool:
        return Goal([test], self._world.data, self._world.model.ngeom).reached()


def ordered(tests: Sequence[GoalTest]) -> list[GoalTest]:
    """Objects first, doors and drawers last."""
    return sorted(tests, key=lambda test: isinstance(test, JointTest))
