"""Lift the pot by its two handles, with both arms at once."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import lift_in_step
from ..expert.grasps import downward_options
from ..mjcf import Mjcf
from ..pose import Pose, yaw_quat
from ..robot.panda import Side
from ..scene.objects import free_body
from ..scene.pot import GRASP_M, HANDLE_HEIGHT_M, write_pot
from ..scene.view import Scene
from .base import Layout, TabletopTask

_LIFT_M, _LIFTED_M = 0.14, 0.08


class LiftPot(TabletopTask):
    """As in RoboTwin 2.0: both arms take a handle and raise the pot, keeping it level."""

    name = "lift_pot"
    version = "1"
    budget_steps = 400
    instructions = (
        "Lift the pot with both arms.",
        "Pick up the pot by its two handles.",
        "Raise the cooking pot off the table.",
        "Use both grippers to lift the pot.",
        "Grab the pot's handles and lift it up.",
        "Hold the pot on both sides and raise it.",
        "Lift the pot straight up, keeping it level.",
        "Take one handle with each arm and lift the pot.",
        "Grasp both handles of the pot and raise it together.",
        "Bring the pot up from the table.",
        "Raise the pot evenly with two arms.",
        "Pick the cooking pot up with both hands.",
        "Grip the pot at its handles and lift.",
        "Lift the kitchen pot into the air.",
        "With both arms, raise the pot without tilting it.",
        "Get hold of the two handles and lift the pot.",
        "Elevate the pot using both grippers.",
        "Let both arms lift the pot at the same time.",
        "Take the pot by its handles and hold it above the table.",
        "Hoist the pot with both arms.",
    )
    unseen_instructions = (
        "Heave the saucepan up with two hands.",
        "The pot should hang level above the table, held on both sides.",
        "Seize the ears of the pot and raise it.",
        "Together, the two arms take the pot upward.",
        "Lift the stew pot clear of the table.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A hollow pot with a handle at its -x and +x sides."""
        write_pot(model, free_body(model, "pot"))

    def sample(self, rng: np.random.Generator) -> Layout:
        """Within 5 cm of the middle, turned by at most 22.5 degrees."""
        pos = (rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05), 0.0)
        return {"pot": Pose.of(pos, yaw_quat(rng.uniform(-np.pi / 8, np.pi / 8)))}

    def success(self, scene: Scene) -> bool:
        """Raised by 8 cm, level within 18 degrees, a gripper holding each handle."""
        pot = scene.pose("pot")
        return bool(
            pot.pos[2] > _LIFTED_M
            and pot.axis(2)[2] > 0.95
            and all(
                np.linalg.norm(scene.tcp(side).pos - _handle(pot, side)) < 0.03
                and scene.touches(side, "pot")
                for side in Side
            )
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Both arms to their handles, grip, and lift in step."""
        pot = scene.pose("pot")
        across = pot.yaw() + np.pi / 2
        grasps = {
            side: robot[side].nearest(downward_options(_handle(pot, side), across, 2))
            for side in Side
        }
        yield from lift_in_step(robot, grasps, _LIFT_M)


def _handle(pot: Pose, side: Side) -> np.ndarray:
    sign = -1 if side is Side.LEFT else 1
    return pot.apply((sign * GRASP_M, 0, HANDLE_HEIGHT_M))


TASK = LiftPot()
