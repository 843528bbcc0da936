"""Where an object's origin has to go for a goal to hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..scene_spec import GoalTest, RegionTest, StackedTest
from .world import Array, World


@dataclass(frozen=True, slots=True)
class Target:
    """Where to let go of an object.

    Attributes:
        pos: of its origin, m [3].
        drop_m: how far above that point to let go.
    """

    pos: Array
    drop_m: float = 0.0


def target_of(world: World, tests: Sequence[GoalTest], number: int) -> Target:
    """The target of one of the goal's tests, which shares its region with others of the same."""
    test = tests[number]
    if isinstance(test, StackedTest):
        return Target(world.pos(test.lower))
    assert isinstance(test, RegionTest)
    centre = np.array(world.data.site_xpos[test.site])
    matrix = np.array(world.data.site_xmat[test.site]).reshape(3, 3)
    same = [n for n, other in enumerate(tests) if getattr(other, "site", None) == test.site]
    if len(same) > 1:
        centre = centre + matrix @ np.array([_spread(test, same.index(number)), 0.0, 0.0])
    return Target(centre)


def _spread(test: RegionTest, index: int) -> float:
    """Two objects share a region side by side."""
    return test.half_size[0] * (0.5 if index else -0.5)
