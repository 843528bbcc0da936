"""Set the can down beside the pot."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import TakingTurns, side_of
from ..expert.grasps import downward_options
from ..mjcf import Mjcf
from ..pose import Pose, up, yaw_quat
from ..robot.panda import Side
from ..scene.objects import free_body
from ..scene.pot import RADIUS_M, write_pot
from ..scene.vessels import Can
from ..scene.view import Scene
from .base import Layout, TabletopTask
from .cubes import left_alone

_CAN = Can()
_GRIP_M = 0.074
_BESIDE_M = 0.18
"""From the pot's axis to where the can is put; the handle reaches 13 cm."""
_FAR_M, _LEVEL_M = 0.20, 0.035
"""How far the can may be from the pot's axis in x and y, as in RoboTwin."""


class MoveCanPot(TabletopTask):
    """As in RoboTwin 2.0: the arm on the can's side puts it on that side of the pot."""

    name = "move_can_pot"
    version = "1"
    budget_steps = 400
    reserved = ((-0.28, -0.12, 0.28, 0.16),)
    instructions = (
        "Put the can beside the pot.",
        "Move the can next to the pot.",
        "Pick up the can and set it down beside the pot.",
        "Place the can at the side of the cooking pot.",
        "Bring the can to the pot.",
        "Set the can down next to the pot's handle.",
        "Grasp the can and put it next to the pot.",
        "Use the nearer arm to move the can beside the pot.",
        "Lift the can and place it right beside the pot.",
        "Take the red can to the side of the blue pot.",
        "Carry the can to the pot and put it down.",
        "Stand the can beside the pot.",
        "The can belongs next to the pot; move it there.",
        "Transfer the can to the place beside the pot.",
        "Position the can alongside the pot.",
        "Move the can so that it stands level with the pot.",
        "Put the tin next to the pot.",
        "Relocate the can to the pot's side.",
        "Pick the can up from the back and put it beside the pot.",
        "Leave the can standing next to the pot.",
    )
    unseen_instructions = (
        "Let the can keep the pot company.",
        "The tin should stand at the pot's flank.",
        "Park the can by the saucepan.",
        "Get the red tin over to the cooking pot.",
        "Line the can up with the pot, on the side where it is now.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A pot and a can, both free to move."""
        write_pot(model, free_body(model, "pot"))
        _CAN.add(model, "can", (0.74, 0.16, 0.12, 1))

    def sample(self, rng: np.random.Generator) -> Layout:
        """Pot in the middle, turned by up to 22.5 degrees; can 21 to 28 cm aside, y 8 to 14 cm."""
        side = rng.choice([-1.0, 1.0])
        can = (side * rng.uniform(0.21, 0.28), rng.uniform(0.08, 0.14), 0.0)
        turn = rng.uniform(-np.pi / 8, np.pi / 8)
        return {
            "pot": Pose.of((0.0, 0.0, 0.0), yaw_quat(turn)),
            "can": Pose.of(can, yaw_quat(rng.uniform(-np.pi, np.pi))),
        }

    def success(self, scene: Scene) -> bool:
        """The can stands on the table beside the pot, at rest, and both grippers are open."""
        can, pot = scene.pose("can"), scene.pose("pot")
        offset = np.abs(can.pos - pot.pos)
        return bool(
            RADIUS_M < offset[0] < _FAR_M
            and offset[1] < _LEVEL_M
            and can.pos[2] < 0.005
            and can.axis(2)[2] > 0.95
            and left_alone(scene, ["can", "pot"])
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Hold the can near its top, lift it, and set it down beside the pot."""
        can, pot = scene.pose("can"), scene.pose("pot")
        sign = 1 if side_of(can.pos) is Side.RIGHT else -1
        goal = pot.pos + np.array([sign * _BESIDE_M, 0.0, 0.0])
        turns = TakingTurns(robot, scene)
        grasps = downward_options(can.pos + up(_GRIP_M), can.yaw(), 8)
        goals = [Pose.of(goal, yaw_quat(turn)) for turn in np.arange(16) * np.pi / 8]
        # The pot's handle is near: no finger may open towards it.
        yield from turns.carry("can", grasps, goals, lambda tool: abs(tool.axis(1)[1]) > 0.7)
        yield from turns.finish()


TASK = MoveCanPot()
