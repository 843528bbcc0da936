"""Lift the rolling pin by its two handles, with both arms at once."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import lift_in_step
from ..expert.grasps import downward_options
from ..mjcf import Mjcf, add, visual
from ..pose import Array, Pose, yaw_quat
from ..robot.panda import Side
from ..scene.objects import HIDDEN, add_box, add_material, free_body
from ..scene.view import Scene
from .base import Layout, TabletopTask

_RADIUS_M, _HALF_M = 0.025, 0.105
"""Of the roller itself; its axis is the body's x axis."""
_HANDLE_RADIUS_M, _HANDLE_HALF_M = 0.011, 0.040
_GRASP_M = _HALF_M + 0.042
"""From the middle to where a handle is held."""
_LIFT_M, _LIFTED_M = 0.14, 0.085
_ACROSS = (0.7071067811865476, 0.0, 0.7071067811865476, 0.0)
"""Turns a cylinder's axis to x."""


class GrabRoller(TabletopTask):
    """As in RoboTwin 2.0: both arms take an end and raise the roller."""

    name = "grab_roller"
    version = "1"
    budget_steps = 400
    instructions = (
        "Lift the rolling pin with both arms.",
        "Grab the roller by its two handles and lift it.",
        "Pick up the roller with both grippers.",
        "Raise the rolling pin off the table.",
        "Take one end of the roller with each arm and lift it.",
        "Use both arms to pick up the rolling pin.",
        "Hold the roller at both ends and raise it.",
        "Grasp both handles of the rolling pin and lift together.",
        "Lift the wooden roller straight up.",
        "Raise the roller with two hands.",
        "Seize the rolling pin at its handles and lift it up.",
        "Bring the roller up from the table, keeping it level.",
        "Pick the rolling pin up by both of its ends.",
        "Let both arms lift the roller at the same time.",
        "Grip the roller left and right and raise it.",
        "Hoist the rolling pin with both arms.",
        "Both grippers should hold the roller and lift it.",
        "Get the rolling pin off the table with both arms.",
        "Take the roller by its handles and hold it above the table.",
        "Lift the roller evenly with the two arms.",
    )
    unseen_instructions = (
        "Heave the baker's roller up with two hands.",
        "The rolling pin should hang level above the table, held at both ends.",
        "Together, the arms take the roller upward.",
        "Raise the dough roller by its grips.",
        "Lift the wooden pin clear of the table.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A rolling pin that rests on a hidden box, so that it does not roll away."""
        roller = free_body(model, "roller")
        wood = add_material(model, "beech", (0.78, 0.56, 0.34, 1))
        dark = add_material(model, "walnut", (0.36, 0.21, 0.12, 1))
        inside = (_HALF_M, 0.85 * _RADIUS_M, _RADIUS_M)
        add_box(roller, inside, (0, 0, 0, 1), mass=0.25, **HIDDEN)
        barrel = {"type": "cylinder", "size": (_RADIUS_M, _HALF_M), "quat": _ACROSS}
        add(roller, "geom", material=wood, **barrel, **visual())
        for sign in (-1, 1):
            pos = (sign * (_HALF_M + _HANDLE_HALF_M), 0, 0)
            grip = (_HANDLE_HALF_M, _HANDLE_RADIUS_M, 0.9 * _HANDLE_RADIUS_M)
            add_box(roller, grip, (0, 0, 0, 1), pos=pos, mass=0.02, **HIDDEN)
            shape = {"type": "cylinder", "size": (_HANDLE_RADIUS_M, _HANDLE_HALF_M)}
            add(roller, "geom", material=dark, pos=pos, quat=_ACROSS, **shape, **visual())

    def sample(self, rng: np.random.Generator) -> Layout:
        """Within x 10 cm, y -12 to 2 cm, turned by at most 0.5 rad."""
        pos = (rng.uniform(-0.10, 0.10), rng.uniform(-0.12, 0.02), _RADIUS_M)
        return {"roller": Pose.of(pos, yaw_quat(rng.uniform(-0.5, 0.5)))}

    def success(self, scene: Scene) -> bool:
        """Raised by 6 cm, level within 18 degrees, a gripper holding each handle."""
        roller = scene.pose("roller")
        return bool(
            roller.pos[2] > _LIFTED_M
            and abs(roller.axis(0)[2]) < 0.3
            and all(
                np.linalg.norm(scene.tcp(side).pos - _handle(roller, side)) < 0.04
                and scene.touches(side, "roller")
                for side in Side
            )
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Both arms to their handles, grip, and lift in step."""
        roller = scene.pose("roller")
        across = roller.yaw() + np.pi / 2
        grasps = {
            side: robot[side].nearest(downward_options(_handle(roller, side), across, 2))
            for side in Side
        }
        yield from lift_in_step(robot, grasps, _LIFT_M)


def _handle(roller: Pose, side: Side) -> Array:
    return roller.apply((-_GRASP_M if side is Side.LEFT else _GRASP_M, 0, 0))


TASK = GrabRoller()
