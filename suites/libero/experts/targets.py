"""Where an object's origin has to go for a goal to hold."""

from collections.abc import Sequence

import numpy as np

from ..scene_spec import GoalTest, RegionTest, StackedTest
from .world import Array, World


def target_of(world: World, tests: Sequence[GoalTest], number: int) -> Array:
    """Where the object of one of the goal's tests goes, m [3].

    Args:
        world: the scene.
        tests: all of the goal; objects that go to one region lie in it side by side.
        number: of the test, which is about an object.
    """
    test = tests[number]
    if isinstance(test, StackedTest):
        return world.pos(test.lower)
    assert isinstance(test, RegionTest)
    centre = np.array(world.data.site_xpos[test.site])
    matrix = np.array(world.data.site_xmat[test.site]).reshape(3, 3)
    same = [n for n, other in enumerate(tests) if getattr(other, "site", None) == test.site]
    if len(same) > 1:
        aside = test.half_size[0] * (0.5 if same.index(number) else -0.5)
        centre = centre + matrix @ np.array([aside, 0.0, 0.0])
    return np.array(centre)
