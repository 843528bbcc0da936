"""Smooth motion: generators that yield one action a control step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from .world import Array, World

Motion = Iterator[Array]
"""Yields actions [7]; the world advances one control step between two of them."""

OPEN, CLOSE = -1.0, 1.0

_UNIT_M, _UNIT_RAD = 0.05, 0.5
_GAIN = 1.5
"""Share of the remaining way that is asked for; more overshoots, as the controller's own lag is
about 0.16 s."""
_CHANGE_A_STEP = 0.25
"""How much a component of the action may change between control steps."""


@dataclass(frozen=True, slots=True)
class Pose:
    """A place for the grip.

    Attributes:
        pos: m [3].
        turn: grip to world [3, 3]; see `World.grip_turn`.
    """

    pos: Array
    turn: Array

    def shifted(self, by: Array) -> "Pose":
        """The pose moved by a world vector, m [3]."""
        return Pose(self.pos + by, self.turn)


@dataclass(slots=True)
class Arm:
    """Steers the grip; remembers the last action, which the next one may differ from only so much.

    Attributes:
        world: what it moves in.
        fingers: what the gripper is told: OPEN or CLOSE.
    """

    world: World
    fingers: float = OPEN
    _last: Array = field(default_factory=lambda: np.zeros(6))

    def toward(self, target: Pose, speed: float) -> Array:
        """The action that brings the grip closer to the target.

        Args:
            target: where to.
            speed: largest component of the action, 0 to 1; 1 is about 30 cm/s.
        """
        world = self.world
        shift = (target.pos - world.grip_pos) * (_GAIN / _UNIT_M)
        twist = rotation_vector(target.turn @ world.grip_turn.T) * (_GAIN / _UNIT_RAD)
        wanted = np.concatenate([_shortened(shift, speed), _shortened(twist, 0.8 * speed)])
        change = np.clip(wanted - self._last, -_CHANGE_A_STEP, _CHANGE_A_STEP)
        self._last = self._last + change
        return np.array([*self._last, self.fingers])

    def reach(
        self,
        target: Pose,
        speed: float = 0.8,
        within_m: float = 0.006,
        until: Callable[[], bool] = lambda: False,
    ) -> Motion:
        """Move until there, or until it no longer gets closer, or until the condition holds."""
        best, waited = np.inf, 0
        while not until():
            left = float(np.linalg.norm(target.pos - self.world.grip_pos))
            angle = float(np.linalg.norm(rotation_vector(target.turn @ self.world.grip_turn.T)))
            if left < within_m and angle < max(0.08, 6 * within_m):
                return
            score = left + 0.1 * angle
            waited = 0 if score < best - 5e-4 else waited + 1
            best = min(best, score)
            if waited > 10:
                return
            yield self.toward(target, speed)

    def stay(self, steps: int) -> Motion:
        """Come to rest where it is."""
        here = Pose(self.world.grip_pos, self.world.grip_turn)
        for _ in range(steps):
            yield self.toward(here, 0.5)

    def grab(self, steps: int = 9) -> Motion:
        """Close the fingers; they need 8 control steps from open to closed."""
        self.fingers = CLOSE
        yield from self.stay(steps)

    def let_go(self, steps: int = 6) -> Motion:
        """Open the fingers."""
        self.fingers = OPEN
        yield from self.stay(steps)


def rotation_vector(matrix: Array) -> Array:
    """Axis times angle (0 to pi rad) of a rotation matrix."""
    cosine = np.clip((np.trace(matrix) - 1) / 2, -1.0, 1.0)
    angle = float(np.arccos(cosine))
    skew = np.array(
        [matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]]
    )
    length = float(np.linalg.norm(skew))
    if length < 1e-9:
        return np.zeros(3)
    return skew * (angle / length)


def rotated(axis: Array, angle_rad: float) -> Array:
    """Matrix [3, 3] of a rotation about a unit axis (Rodrigues' formula)."""
    cross = np.cross(np.eye(3), axis)
    turned: Array = np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross
    return turned


def facing(approach: Array, fingers: Array) -> Array:
    """Grip orientation [3, 3] that looks along `approach`, its fingers moving along `fingers`.

    Args:
        approach: unit vector out of the hand.
        fingers: any vector not parallel to it; made perpendicular.
    """
    across = fingers - approach * float(fingers @ approach)
    across = across / np.linalg.norm(across)
    return np.column_stack([across, np.cross(approach, across), approach])


def _shortened(vector: Array, length: float) -> Array:
    norm = float(np.linalg.norm(vector))
    return vector if norm <= length else vector * (length / norm)
