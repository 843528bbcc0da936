"""Put the cup on the coaster."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.grasps import downward_options
from ..mjcf import Mjcf, add
from ..pose import Pose, up
from ..robot.panda import Side
from ..scene.objects import (
    HIDDEN,
    OBJECT_CONTACT,
    add_feet,
    add_lathe,
    add_material,
    add_wall_ring,
    fixed_body,
    free_body,
)
from ..scene.view import Scene
from .base import Layout, TabletopTask

_CUP_RADIUS_M, _CUP_HEIGHT_M, _WALL_M = 0.031, 0.090, 0.004
_COASTER_RADIUS_M, _COASTER_HEIGHT_M = 0.050, 0.006
_GRASP_HEIGHT_M = 0.062
_OPEN = 0.8


class PlaceEmptyCup(TabletopTask):
    """As in RoboTwin 2.0: the arm on the cup's side moves it onto the coaster."""

    name = "place_empty_cup"
    version = "1"
    budget_steps = 500
    instructions = (
        "Put the cup on the coaster.",
        "Place the empty cup onto the coaster.",
        "Pick up the cup and set it on the coaster.",
        "Move the cup to the coaster.",
        "Set the empty cup down on the round coaster.",
        "Grasp the cup and put it on the coaster.",
        "Lift the cup and lower it onto the coaster.",
        "Use the nearer arm to place the cup on the coaster.",
        "Bring the cup over to the coaster and release it.",
        "Take the cup to the coaster.",
        "Stand the cup on the coaster.",
        "Transfer the empty cup onto the coaster.",
        "The cup belongs on the coaster; put it there.",
        "Carry the cup to the coaster and let go.",
        "Pick the cup up from the table and place it on the coaster.",
        "Position the cup in the middle of the coaster.",
        "Rest the cup on top of the coaster.",
        "Relocate the empty cup to the coaster.",
        "Grab the cup and set it gently on the coaster.",
        "Leave the cup standing on the coaster.",
    )
    unseen_instructions = (
        "See that the cup ends up on its coaster.",
        "Slip the coaster's place under the cup: move the cup there.",
        "Serve the empty cup on the coaster.",
        "Get the drinking cup off the bare table and onto the mat.",
        "Deposit the cup on the small round mat.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A hollow cup and a flat round coaster that is fixed to the table."""
        glaze = add_material(model, "glaze", (0.93, 0.95, 0.97, 1), specular=0.7, shininess=0.7)
        cork = add_material(model, "cork", (0.45, 0.27, 0.15, 1))
        cup = free_body(model, "cup")
        add_wall_ring(cup, _CUP_RADIUS_M, _WALL_M, (0.002, _CUP_HEIGHT_M), mass_kg=0.06)
        add_feet(cup, _CUP_RADIUS_M - 0.006, mass_kg=0.01)
        add(
            cup,
            "geom",
            type="cylinder",
            size=(_CUP_RADIUS_M - _WALL_M / 2, 0.002),
            pos=(0, 0, 0.004),
            mass=0.03,
            **(OBJECT_CONTACT | HIDDEN),
        )
        inner, outer = _CUP_RADIUS_M - _WALL_M, _CUP_RADIUS_M
        outline = [
            (0, 0),
            (outer - 0.002, 0),
            (outer, 0.004),
            (outer, _CUP_HEIGHT_M),
            (inner, _CUP_HEIGHT_M),
            (inner, 0.008),
            (0, 0.006),
        ]
        add_lathe(model, cup, outline, glaze)
        coaster = fixed_body(model, "coaster")
        add(
            coaster,
            "geom",
            type="cylinder",
            size=(_COASTER_RADIUS_M, _COASTER_HEIGHT_M / 2),
            pos=(0, 0, _COASTER_HEIGHT_M / 2),
            material=cork,
            **OBJECT_CONTACT,
        )

    def sample(self, rng: np.random.Generator) -> Layout:
        """Cup: 15 to 30 cm to one side; coaster: from 10 cm on that side to 5 cm on the other."""
        side = rng.choice([-1.0, 1.0])
        cup = np.array([side * rng.uniform(0.15, 0.30), rng.uniform(-0.2, 0.05), 0.0])
        while True:
            coaster = np.array([side * rng.uniform(-0.05, 0.10), rng.uniform(-0.2, 0.05), 0.0])
            if np.hypot(*(cup - coaster)[:2]) > 0.1:
                return {"cup": Pose.of(cup), "coaster": Pose.of(coaster)}

    def success(self, scene: Scene) -> bool:
        """The cup stands on the coaster, at rest, and both grippers are open."""
        cup, coaster = scene.pose("cup"), scene.pose("coaster")
        offset = cup.pos - coaster.pos
        return bool(
            np.hypot(*offset[:2]) < 0.035
            and abs(offset[2] - _COASTER_HEIGHT_M) < 0.01
            and cup.axis(2)[2] > 0.95
            and scene.speed("cup") < 0.02
            and all(scene.opening(side) > _OPEN for side in Side)
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Grasp the cup around its wall from above, move it over, set it down, let go."""
        cup, coaster = scene.pose("cup"), scene.pose("coaster")
        side = Side.RIGHT if cup.pos[0] > 0 else Side.LEFT
        arm = robot[side]
        grasp = arm.nearest(downward_options(cup.pos + up(_GRASP_HEIGHT_M), cup.yaw(), 12))
        yield from arm.go(grasp.raised(0.10))
        yield from arm.go(grasp, speed=0.6)
        yield from arm.grip(0.0)
        yield from arm.go(grasp.raised(0.08))
        yield from robot.wait(3)
        shift = scene.tcp(side).pos - scene.pose("cup").pos
        place = Pose(coaster.pos + shift + up(_COASTER_HEIGHT_M + 0.002), arm.pose.quat)
        yield from arm.go(place.raised(0.07))
        yield from arm.go(place, speed=0.5)
        yield from robot.wait(3)
        yield from arm.grip(1.0)
        yield from arm.go(place.raised(0.10))


TASK = PlaceEmptyCup()
