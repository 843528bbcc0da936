"""What an expert sees: the grip, bodies by name, and the collision boxes of everything."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..env import LiberoEnv

Array = NDArray[np.float64]

_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)


@dataclass(frozen=True, slots=True)
class Boxes:
    """Oriented boxes around collision geoms; exact for boxes, bounding for other shapes.

    Attributes:
        centres: m [N, 3].
        turns: box to world [N, 3, 3].
        halves: half sizes, m [N, 3].
    """

    centres: Array
    turns: Array
    halves: Array

    def corners(self) -> Array:
        """The eight corners of each, m [N, 8, 3]."""
        local = _CORNERS[None] * self.halves[:, None]
        corners: Array = np.einsum("nij,nkj->nki", self.turns, local) + self.centres[:, None]
        return corners

    def depth(self, points: Array, margin_m: float) -> Array:
        """How deep each point [P, 3] lies in the deepest box, m [P]; 0 outside all.

        Args:
            points: m.
            margin_m: by how much the boxes are taken larger on each side.
        """
        if not len(self.centres):
            return np.zeros(len(points))
        apart = points[:, None] - self.centres[None]
        local = np.einsum("nij,pni->pnj", self.turns, apart)
        inside = np.min(self.halves[None] + margin_m - np.abs(local), axis=2)
        deepest: Array = np.clip(inside, 0.0, None).max(axis=1)
        return deepest


class World:
    """The simulation's true state, with the few questions that experts ask of it."""

    def __init__(self, env: "LiberoEnv") -> None:
        self.env = env
        self.model, self.data = env.model, env.data
        self._site = env.scene.robot.grip_site
        self._fingers = list(env.scene.robot.gripper_qpos)

    @property
    def grip_pos(self) -> Array:
        """Where the grip is, between the finger pads, m [3]."""
        return np.array(self.data.site_xpos[self._site])

    @property
    def grip_turn(self) -> Array:
        """Grip to world [3, 3]: x along the line between the fingers, z out of the hand."""
        return np.array(self.data.site_xmat[self._site]).reshape(3, 3)

    @property
    def opening(self) -> float:
        """Distance between the finger pads, m, 0 to 0.08."""
        left, right = self.data.qpos[self._fingers]
        return float(abs(left) + abs(right))

    def pos(self, body: int) -> Array:
        """A body's origin, m [3]."""
        return np.array(self.data.xpos[body])

    def turn(self, body: int) -> Array:
        """Body to world [3, 3]."""
        return np.array(self.data.xmat[body]).reshape(3, 3)

    def name(self, body: int) -> str:
        """A body's name."""
        return str(self.model.body(body).name)

    def category(self, body: int) -> str:
        """`akita_black_bowl` of `akita_black_bowl_1_main`."""
        return self.name(body).rsplit("_", 2)[0]

    def root(self, body: int) -> int:
        """The body, attached to the world, that it belongs to."""
        return int(self.model.body_rootid[body])

    def geoms(self, roots: Iterable[int]) -> NDArray[np.intp]:
        """Ids of the collision geoms of whole objects."""
        wanted = np.isin(self.model.body_rootid[self.model.geom_bodyid], list(roots))
        return np.flatnonzero(wanted & self._collides)

    def boxes(self, geoms: NDArray[np.intp]) -> Boxes:
        """Boxes around geoms."""
        turns = self.data.geom_xmat[geoms].reshape(-1, 3, 3)
        local = self.model.geom_aabb[geoms]
        centres = self.data.geom_xpos[geoms] + np.einsum("nij,nj->ni", turns, local[:, :3])
        return Boxes(centres, np.array(turns), np.array(local[:, 3:]))

    def obstacles(self, without: Iterable[int]) -> Boxes:
        """Boxes around everything but the robot, planes and the given objects."""
        skip = [self.robot_root, *without]
        roots = self.model.body_rootid[self.model.geom_bodyid]
        bounded = self.model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE
        return self.boxes(np.flatnonzero(self._collides & bounded & ~np.isin(roots, skip)))

    def top_along(
        self, start: Array, stop: Array, within_m: float, without: Iterable[int]
    ) -> float:
        """Height of the tallest thing near the line between two points (x and y), m.

        Args:
            start: [2].
            stop: [2].
            within_m: what counts as near.
            without: objects that do not count.
        """
        corners = self.obstacles(without).corners()
        low, high = corners[..., :2].min(axis=1), corners[..., :2].max(axis=1)
        top = corners[..., 2].max(axis=1)
        length = float(np.linalg.norm(stop - start))
        line = np.linspace(start, stop, 2 + int(length / 0.02))
        gap = np.maximum(low[None] - line[:, None], line[:, None] - high[None]).clip(0.0)
        near = np.any(np.hypot(gap[..., 0], gap[..., 1]) < within_m, axis=0)
        return float(top[near].max()) if near.any() else -np.inf

    def rests(self, root: int) -> bool:
        """Whether an object touches anything but the robot."""
        return bool(self._touched_by(root) - {self.robot_root})

    def in_hand(self, root: int) -> bool:
        """Whether an object touches the robot."""
        return self.robot_root in self._touched_by(root)

    def _touched_by(self, root: int) -> set[int]:
        """Roots of all that an object touches."""
        contact = self.data.contact
        geoms = np.column_stack([contact.geom1, contact.geom2])
        roots = self.model.body_rootid[self.model.geom_bodyid[geoms]]
        return {int(r) for r in np.unique(roots[np.any(roots == root, axis=1)])} - {root}

    @cached_property
    def robot_root(self) -> int:
        """The robot's base body."""
        return int(self.model.body_rootid[self.env.scene.robot.hand_body])

    @cached_property
    def _collides(self) -> NDArray[np.bool_]:
        model = self.model
        return np.asarray((model.geom_contype != 0) | (model.geom_conaffinity != 0), np.bool_)
