"""Hang the mug on the rack's peg: the left arm brings it to the middle, the right arm hangs it."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import held, pick, put
from ..expert.grasps import downward
from ..mjcf import Element, Mjcf, add
from ..pose import Array, Pose, up, yaw_quat
from ..robot.panda import Side
from ..scene.objects import (
    HIDDEN,
    OBJECT_CONTACT,
    add_box,
    add_feet,
    add_lathe,
    add_material,
    add_wall_ring,
    fixed_body,
    free_body,
)
from ..scene.view import Scene
from .base import Layout, TabletopTask

_RADIUS_M, _HEIGHT_M, _WALL_M = 0.031, 0.080, 0.004
_LOOP_M = np.array([0.0435, 0.0, 0.042])
"""Middle of the handle's opening, in the mug's frame: the handle points along x."""
_GRIP_M = 0.064
_PEG_M, _PEG_END_M = np.array([0.0, -0.008, 0.190]), np.array([0.0, -0.080, 0.207])
"""Where the peg begins and ends, in the rack's frame."""
_PEG_RADIUS_M = 0.005
_MIDDLE_M = (0.0, -0.14, 0.0)
_ON_PEG = 0.55
"""Share of the peg's length at which the mug is let go."""
_LOWERED_M = 0.010
_NEAR_M, _OPEN = 0.03, 0.8


class HangingMug(TabletopTask):
    """As in RoboTwin 2.0: left arm to the middle, right arm onto the rack."""

    name = "hanging_mug"
    version = "1"
    budget_steps = 900
    reserved = ((-0.22, -0.30, 0.22, 0.0), (0.0, -0.1, 0.35, 0.25))
    instructions = (
        "Hang the mug on the rack.",
        "Pick up the mug and hang it on the rack's peg.",
        "Hang the mug on the peg by its handle.",
        "Put the mug on the mug rack.",
        "Take the mug to the middle with the left arm and hang it with the right arm.",
        "Use both arms to hang the mug on the rack.",
        "Hook the mug's handle over the peg.",
        "Move the mug to the rack and hang it there.",
        "Hang the white mug up.",
        "Slip the handle of the mug over the rack's peg.",
        "Bring the mug to the right arm and let it hang the mug on the rack.",
        "Let the mug hang from the peg.",
        "Pass the mug to the right side and hang it on the rack.",
        "The mug belongs on the rack; hang it by its handle.",
        "Lift the mug onto the peg of the rack.",
        "Place the mug on the hook of the rack.",
        "Thread the peg through the mug's handle.",
        "Set the mug down in the middle, then hang it on the rack.",
        "Store the mug on the rack by its handle.",
        "Get the mug hanging on the wooden rack.",
    )
    unseen_instructions = (
        "Let the cup dangle from the wooden stand.",
        "Put the mug away where mugs hang.",
        "The peg should carry the mug.",
        "Left fetches the mug, right hooks it onto the stand.",
        "Suspend the mug by its ear.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A mug with a handle, and a rack with one peg that is fixed to the table."""
        _add_mug(model, free_body(model, "mug"))
        _add_rack(fixed_body(model, "rack"))

    def sample(self, rng: np.random.Generator) -> Layout:
        """Mug x -25 to -10 cm, y -5 to 5 cm, turned at will; rack x 12 to 26, y 13 to 17 cm."""
        mug = (rng.uniform(-0.25, -0.10), rng.uniform(-0.05, 0.05), 0.0)
        rack = (rng.uniform(0.12, 0.26), rng.uniform(0.13, 0.17), 0.0)
        return {
            "mug": Pose.of(mug, yaw_quat(rng.uniform(-np.pi, np.pi))),
            "rack": Pose.of(rack, yaw_quat(rng.uniform(-0.2, 0.2))),
        }

    def success(self, scene: Scene) -> bool:
        """The mug hangs by its handle from the peg, at rest, and nobody touches it."""
        mug, rack = scene.pose("mug"), scene.pose("rack")
        begin, end = rack.apply(_PEG_M), rack.apply(_PEG_END_M)
        loop, along = mug.apply(_LOOP_M), end - begin
        share = float((loop - begin) @ along / (along @ along))
        return bool(
            0.0 < share < 1.0
            and np.linalg.norm(loop - begin - share * along) < _NEAR_M
            and scene.contacts("mug", "rack")
            and scene.speed("mug") < 0.02
            and scene.opening(Side.RIGHT) > _OPEN
            and not any(scene.touches(side, "mug") for side in Side)
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Left sets the mug down in the middle, right threads its handle onto the peg."""
        left, right = robot[Side.LEFT], robot[Side.RIGHT]
        yield from pick(left, left.nearest(_grasps(scene.pose("mug"))))
        yield from robot.wait(3)
        offset = held(scene, Side.LEFT, "mug")
        middle = [Pose.of(_MIDDLE_M, yaw_quat(turn)) @ offset for turn in (0.0, np.pi)]
        yield from put(robot, Side.LEFT, left.nearest(middle).raised(0.002))
        fetch = pick(right, right.nearest(_grasps(scene.pose("mug"))), lift_m=0.20)
        yield from robot.together(left.go_home(), fetch)
        yield from robot.wait(3)
        yield from self._hang(robot, scene)

    def _hang(self, robot: Bimanual, scene: Scene) -> Script:
        right, rack = robot[Side.RIGHT], scene.pose("rack")
        offset = held(scene, Side.RIGHT, "mug")
        flip = 0.0 if scene.pose("mug").axis(0)[0] > 0 else np.pi
        turn = yaw_quat(rack.yaw() + flip)
        begin, end = rack.apply(_PEG_M), rack.apply(_PEG_END_M)

        def tool(share: float) -> Pose:
            """Where the tool is with the peg through the handle, that far from its beginning."""
            loop = begin + share * (end - begin)
            mug = Pose(loop - Pose(np.zeros(3), turn).apply(_LOOP_M), turn)
            return mug @ offset

        yield from right.go(tool(1.7), tool(1.3))
        yield from right.go(tool(_ON_PEG), speed=0.5)
        yield from right.go(tool(_ON_PEG).raised(-_LOWERED_M), speed=0.3)
        yield from robot.wait(3)
        yield from right.grip(1.0, steps=12)
        yield from right.go(right.pose.raised(0.10))
        yield from right.go_home()


def _grasps(mug: Pose) -> list[Pose]:
    """Around the wall from above, with the fingers clear of the handle."""
    pos = mug.pos + up(_GRIP_M)
    return [downward(pos, mug.yaw() + sign * np.pi / 2) for sign in (-1, 1)]


def _add_mug(model: Mjcf, mug: Element) -> None:
    glaze = add_material(model, "mug_glaze", (0.93, 0.93, 0.90, 1), specular=0.7, shininess=0.7)
    add_wall_ring(mug, _RADIUS_M, _WALL_M, (0.002, _HEIGHT_M), mass_kg=0.08)
    add_feet(mug, _RADIUS_M - 0.006, mass_kg=0.01)
    floor = {"type": "cylinder", "size": (_RADIUS_M - _WALL_M / 2, 0.002), "pos": (0, 0, 0.004)}
    add(mug, "geom", mass=0.03, **floor, **(OBJECT_CONTACT | HIDDEN))
    inner, outer = _RADIUS_M - _WALL_M, _RADIUS_M
    outline: list[tuple[float, float]] = [
        (0, 0),
        (outer - 0.002, 0),
        (outer, 0.004),
        (outer, _HEIGHT_M),
        (inner, _HEIGHT_M),
        (inner, 0.008),
        (0, 0.006),
    ]
    add_lathe(model, mug, outline, glaze)
    blue = (0.20, 0.33, 0.60, 1)
    for z in (0.022, 0.062):
        add_box(mug, (0.0165, 0.006, 0.004), blue, pos=(0.0465, 0, z), mass=0.008)
    add_box(mug, (0.004, 0.006, 0.024), blue, pos=(0.060, 0, 0.042), mass=0.008)


def _add_rack(rack: Element) -> None:
    wood, pale = (0.50, 0.33, 0.20, 1), (0.72, 0.55, 0.36, 1)
    add_box(rack, (0.055, 0.055, 0.006), wood, pos=(0, 0, 0.006))
    add_box(rack, (0.008, 0.008, 0.100), wood, pos=(0, 0, 0.110))
    ends: Array = np.concatenate([_PEG_M, _PEG_END_M])
    peg = {"type": "capsule", "size": (_PEG_RADIUS_M,), "fromto": ends}
    add(rack, "geom", rgba=pale, **peg, **OBJECT_CONTACT)


TASK = HangingMug()
