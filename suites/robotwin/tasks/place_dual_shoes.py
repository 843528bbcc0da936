"""Put both shoes into the shoe box, side by side, toes to the left."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import held, pick
from ..expert.grasps import downward_options
from ..mjcf import Element, Mjcf, add, visual
from ..pose import Array, Pose, yaw_quat
from ..robot.panda import Side
from ..scene.objects import add_box, fixed_body, free_body
from ..scene.view import Scene
from .base import Layout, TabletopTask
from .cubes import left_alone

_SHOES = {Side.LEFT: "left_shoe", Side.RIGHT: "right_shoe"}
_ANKLE_M = (-0.040, 0.0, 0.047)
"""Where a shoe is held, in its frame: x towards the toes, z = 0 at the sole."""
_BOX_M = (0.0, -0.13, 0.0)
_BOX_HALF_M = (0.100, 0.088, 0.016)
_FLOOR_M = 0.006
_ASIDE_M = 0.043
"""How far each shoe's middle line is from the box's: the left one in front."""
_RELEASE = 0.7
"""Wider, and the fingers would push the other shoe."""


class PlaceDualShoes(TabletopTask):
    """As in RoboTwin 2.0: both arms take a shoe at once, and put them down one after the other."""

    name = "place_dual_shoes"
    version = "1"
    budget_steps = 600
    instructions = (
        "Put both shoes into the shoe box.",
        "Place the two shoes in the box, toes to the left.",
        "Pick up both shoes and set them side by side in the box.",
        "Use both arms to put the shoes into the box.",
        "Lay the pair of shoes in the shoe box.",
        "Move the shoes from the table into the box.",
        "Put the left shoe and the right shoe into the box.",
        "Pack the two shoes into their box.",
        "Take one shoe with each arm and put them in the box.",
        "Set both shoes in the box so that they point to the left.",
        "Place the pair of shoes next to each other in the box.",
        "Lift the shoes and put them away in the shoe box.",
        "Grab both shoes and lay them into the box in parallel.",
        "The shoes belong in the box, with their toes to the left.",
        "Store the two shoes in the box between them.",
        "Put the shoes in the box, left one in front.",
        "Bring both shoes to the box in the middle and let them go there.",
        "Fill the shoe box with the two shoes.",
        "Each arm puts the shoe on its side into the box.",
        "Arrange the pair in the shoe box, toes pointing left.",
    )
    unseen_instructions = (
        "Box the pair of sneakers.",
        "Tidy up the footwear: both into the carton.",
        "Let the two sneakers lie parallel in their carton.",
        "Pack up the trainers with their tips towards the left.",
        "Both pieces of footwear should end up in the middle box.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """Two equal shoes, and a shallow box that is fixed to the table."""
        for name in _SHOES.values():
            _add_shoe(free_body(model, name))
        _add_box(fixed_body(model, "shoe_box"))

    def sample(self, rng: np.random.Generator) -> Layout:
        """One shoe a side, 20 to 30 cm from the middle, y -10 to 5 cm, toes away within 35 deg."""
        layout: Layout = {"shoe_box": Pose.of(_BOX_M)}
        for side, name in _SHOES.items():
            sign = -1 if side is Side.LEFT else 1
            pos = (sign * rng.uniform(0.20, 0.30), rng.uniform(-0.10, 0.05), 0.0)
            layout[name] = Pose.of(pos, yaw_quat(np.pi / 2 + rng.uniform(-0.6, 0.6)))
        return layout

    def success(self, scene: Scene) -> bool:
        """Both shoes stand in the box, toes to the left within 14 degrees; grippers are open."""
        return all(self._stands(scene, side) for side in Side) and left_alone(
            scene, list(_SHOES.values())
        )

    def _stands(self, scene: Scene, side: Side) -> bool:
        shoe = scene.pose(_SHOES[side])
        offset = np.abs(shoe.pos - _goal(side))
        return bool(
            np.all(offset < (0.04, 0.03, 0.01))
            and shoe.axis(0)[0] < -0.97
            and shoe.axis(2)[2] > 0.97
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Lift both shoes together; left into the box, then right while left goes home."""
        picks = []
        for side, name in _SHOES.items():
            shoe = scene.pose(name)
            options = downward_options(shoe.apply(_ANKLE_M), shoe.yaw() + np.pi / 2, 2)
            picks.append(pick(robot[side], robot[side].nearest(options), lift_m=0.15))
        yield from robot.together(*picks)
        yield from robot.wait(3)
        yield from self._put(robot, scene, Side.LEFT)
        yield from robot.together(robot[Side.LEFT].go_home(), self._put(robot, scene, Side.RIGHT))

    def _put(self, robot: Bimanual, scene: Scene, side: Side) -> Script:
        arm = robot[side]
        goal = Pose.of(_goal(side), yaw_quat(np.pi))
        place = (goal @ held(scene, side, _SHOES[side])).raised(0.002)
        yield from arm.go(place.raised(0.12))
        yield from arm.go(place, speed=0.5)
        yield from robot.wait(3)
        yield from arm.grip(_RELEASE)
        yield from arm.go(place.raised(0.12))
        yield from arm.grip(1.0)


def _goal(side: Side) -> Array:
    aside = -_ASIDE_M if side is Side.LEFT else _ASIDE_M
    return np.asarray(np.array(_BOX_M) + np.array([0.0, aside, _FLOOR_M]))


def _add_shoe(shoe: Element) -> None:
    sole, upper, dark = (0.93, 0.93, 0.90, 1), (0.72, 0.20, 0.22, 1), (0.12, 0.11, 0.12, 1)
    add_box(shoe, (0.080, 0.024, 0.007), sole, pos=(0, 0, 0.007), mass=0.06)
    add_box(shoe, (0.034, 0.021, 0.023), upper, pos=(-0.040, 0, 0.037), mass=0.05)
    add_box(shoe, (0.040, 0.020, 0.010), upper, pos=(0.033, 0, 0.024), mass=0.03)
    # What is only seen: the opening, a slope over the instep, laces, a round toe.
    seen = {"rgba": upper, **visual()}
    hole = {"type": "box", "size": (0.024, 0.014, 0.001), "pos": (-0.042, 0, 0.0600)}
    add(shoe, "geom", rgba=dark, **hole, **visual())
    slope = {"type": "box", "size": (0.026, 0.0195, 0.008), "pos": (0.012, 0, 0.038)}
    add(shoe, "geom", euler=(0, 0.75, 0), **slope, **seen)
    add(shoe, "geom", type="ellipsoid", size=(0.026, 0.0235, 0.022), pos=(0.052, 0, 0.014), **seen)
    for x, z in ((0.004, 0.055), (0.014, 0.046), (0.024, 0.037)):
        lace = {"type": "box", "size": (0.002, 0.012, 0.0015), "pos": (x, 0, z)}
        add(shoe, "geom", rgba=sole, euler=(0, 0.75, 0), **lace, **visual())


def _add_box(box: Element) -> None:
    wide, deep, high = _BOX_HALF_M
    card, edge = (0.55, 0.43, 0.30, 1), (0.47, 0.36, 0.24, 1)
    add_box(box, (wide, deep, _FLOOR_M / 2), card, pos=(0, 0, _FLOOR_M / 2))
    for sign in (-1, 1):
        add_box(box, (0.002, deep, high), edge, pos=(sign * wide, 0, high))
        add_box(box, (wide, 0.002, high), edge, pos=(0, sign * deep, high))


TASK = PlaceDualShoes()
