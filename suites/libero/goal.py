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
        self._data = data
        self._tests = [self._prepare(test, ngeom) for test in tests]

    def reached(self) -> bool:
        """Whether every test holds."""
        return all(test() for test in self._tests)

    def _prepare(self, test: GoalTest, ngeom: int) -> Callable[[], bool]:
        if isinstance(test, JointTest):
            return lambda: joints_pass(test, self._data.qpos)
        if isinstance(test, StackedTest):
            upper, lower = _mask(test.upper_geoms, ngeom), _mask(test.lower_geoms, ngeom)
            return lambda: self._is_stacked(test) and self._touch(upper, lower)
        if test.inside:
            return lambda: self._is_inside(test)
        if not test.owner_geoms:
            return lambda: self._is_above(test)
        body, owner = _mask(test.body_geoms, ngeom), _mask(test.owner_geoms, ngeom)
        return lambda: self._is_above(test) and self._touch(body, owner)

    def _is_stacked(self, test: StackedTest) -> bool:
        upper, lower = self._data.xpos[test.upper], self._data.xpos[test.lower]
        apart = np.linalg.norm(lower[:2] - upper[:2])
        return bool(lower[2] <= upper[2] and apart < STACKED_WITHIN_M)

    def _is_inside(self, test: RegionTest) -> bool:
        centre, matrix = self._site(test.site)
        half = np.abs(matrix @ np.array(test.half_size))
        top, bottom = centre + half, centre - half
        bottom[2] -= _SLACK_BELOW_M
        place = self._data.xpos[test.body]
        return bool(np.all(place > bottom) and np.all(place < top))

    def _is_above(self, test: RegionTest) -> bool:
        centre, matrix = self._site(test.site)
        half = np.array(test.half_size)
        offset = matrix @ (self._data.xpos[test.body] - centre)
        return bool(
            half[2] - _SURFACE_SLACK_M < offset[2] < half[2] + _HEIGHT_ABOVE_M
            and np.all(np.abs(offset[:2]) < half[:2])
        )

    def _site(self, site: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._data.site_xpos[site], self._data.site_xmat[site].reshape(3, 3)

    def _touch(self, one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
        first, second = self._data.contact.geom1, self._data.contact.geom2
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
