"""Whether the task is solved: LIBERO's goal predicates over MuJoCo's data."""

from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt

import mujoco
import numpy as np
from numpy.typing import NDArray

from .scene_spec import GoalTest, JointTest, RegionTest, StackedTest

STACKED_WITHIN_M = 0.03
_SLACK_BELOW_M = 0.01
_SURFACE_SLACK_M = 0.005
_HEIGHT_ABOVE_M = 0.10

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


class Goal:
    """A conjunction of tests, evaluated on the data as it is.

    After a step, positions in the world are one physics step older than joint positions; upstream
    sees them so.
    """

    def __init__(self, tests: Sequence[GoalTest], data: mujoco.MjData, ngeom: int) -> None:
        # Functions of the data, not methods: a cycle would keep the scene's memory for long.
        self._tests = [_prepared(test, data, ngeom) for test in tests]

    def reached(self) -> bool:
        """Whether every test holds."""
        return all(test() for test in self._tests)


def _prepared(test: GoalTest, data: mujoco.MjData, ngeom: int) -> Callable[[], bool]:
    if isinstance(test, JointTest):
        return lambda: joints_pass(test, data.qpos)
    if isinstance(test, StackedTest):
        upper, lower = _mask(test.upper_geoms, ngeom), _mask(test.lower_geoms, ngeom)
        return lambda: _is_stacked(test, data) and _touch(upper, lower, data)
    if test.inside:
        return lambda: _is_inside(test, data)
    if not test.owner_geoms:
        return lambda: _is_above(test, data)
    body, owner = _mask(test.body_geoms, ngeom), _mask(test.owner_geoms, ngeom)
    return lambda: _is_above(test, data) and _touch(body, owner, data)


def _is_stacked(test: StackedTest, data: mujoco.MjData) -> bool:
    upper, lower = data.xpos[test.upper], data.xpos[test.lower]
    apart = np.linalg.norm(lower[:2] - upper[:2])
    return bool(lower[2] <= upper[2] and apart < STACKED_WITHIN_M)


def _is_inside(test: RegionTest, data: mujoco.MjData) -> bool:
    centre, matrix = data.site_xpos[test.site], data.site_xmat[test.site].reshape(3, 3)
    half = np.abs(matrix @ np.array(test.half_size))
    top, bottom = centre + half, centre - half
    bottom[2] -= _SLACK_BELOW_M
    place = data.xpos[test.body]
    return bool(np.all(place > bottom) and np.all(place < top))


def _is_above(test: RegionTest, data: mujoco.MjData) -> bool:
    centre, matrix = data.site_xpos[test.site], data.site_xmat[test.site].reshape(3, 3)
    half = np.array(test.half_size)
    offset = matrix @ (data.xpos[test.body] - centre)
    return bool(
        half[2] - _SURFACE_SLACK_M < offset[2] < half[2] + _HEIGHT_ABOVE_M
        and np.all(np.abs(offset[:2]) < half[:2])
    )


def _touch(one: NDArray[np.bool_], other: NDArray[np.bool_], data: mujoco.MjData) -> bool:
    """Whether any geom of the one is in contact with any of the other."""
    first, second = data.contact.geom1, data.contact.geom2
    return bool(np.any((one[first] & other[second]) | (one[second] & other[first])))


def joints_pass(test: JointTest, qpos: NDArray[np.float64]) -> bool:
    """Whether all, or any, of the joints compare as asked."""
    compare = _COMPARE[test.comparison]
    answers = (compare(float(qpos[place]), test.threshold) for place in test.qpos)
    return all(answers) if test.every else any(answers)


def _mask(geoms: Sequence[int], ngeom: int) -> NDArray[np.bool_]:
    mask = np.zeros(ngeom, dtype=np.bool_)
    mask[list(geoms)] = True
    return mask
