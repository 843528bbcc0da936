"""Pick up the lying bottle and hold it upright at the side."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import held, pick, side_of
from ..expert.grasps import downward_options
from ..mjcf import Mjcf
from ..pose import Pose
from ..robot.panda import Side
from ..scene.vessels import Bottle
from ..scene.view import Scene
from .base import Layout, TabletopTask

_BOTTLE = Bottle()
_GRASP_M = 0.060
"""From the foot, along the bottle, to where it is held."""
_GOAL_M = (0.25, -0.10, 0.12)
"""Where the foot goes, on the right."""
_ASIDE_M, _RAISED_M = 0.15, 0.08
_UPRIGHT = 0.9


class AdjustBottle(TabletopTask):
    """As in RoboTwin 2.0: the arm on the bottle's side picks it up and sets it right."""

    name = "adjust_bottle"
    version = "1"
    budget_steps = 400
    instructions = (
        "Pick up the lying bottle and hold it upright.",
        "Set the bottle upright in the air.",
        "Lift the bottle and turn it the right way up.",
        "Grab the bottle and raise it with its neck up.",
        "Take the fallen bottle and hold it up straight.",
        "Adjust the bottle so that it points upward.",
        "Pick the bottle up from the table and turn it upright at the side.",
        "Use the nearer arm to lift the bottle upright.",
        "Raise the bottle and straighten it.",
        "Lift the orange bottle and bring its cap to the top.",
        "Grasp the lying bottle, lift it, and turn it upright.",
        "Right the bottle and hold it at the side.",
        "Hold the bottle up with its cap above its foot.",
        "Bring the bottle into an upright position above the table.",
        "The bottle lies on the table; hold it upright instead.",
        "Turn the bottle upright and keep it in the gripper.",
        "Reach for the bottle, lift it and stand it straight in the air.",
        "Get the bottle off the table and turn its head up.",
        "Pick up the orange bottle head up.",
        "Straighten the bottle that has fallen over.",
    )
    unseen_instructions = (
        "That bottle has toppled; put it right and keep hold of it.",
        "Present the bottle as one would pour from it: cap up.",
        "Let the flask point at the ceiling.",
        "Rescue the bottle from lying on its side.",
        "Hold the orange flask vertical, away from the middle.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """One bottle."""
        _BOTTLE.add(model, "bottle", (0.85, 0.42, 0.10, 1), (0.95, 0.95, 0.93, 1))

    def sample(self, rng: np.random.Generator) -> Layout:
        """8 to 12 cm to one side, y -13 to -8 cm, neck away from the robot within 0.4 rad."""
        x = rng.uniform(0.08, 0.12) * rng.choice([-1.0, 1.0])
        pos = (x, rng.uniform(-0.13, -0.08), _BOTTLE.radius_m)
        turn = rng.uniform(-0.4, 0.4)
        # The bottle's z axis along the table's y; -90 degrees about x, then the turn about z.
        lying = Pose.of((0, 0, 0), (np.cos(np.pi / 4), -np.sin(np.pi / 4), 0, 0))
        about = Pose.of(pos, (np.cos(turn / 2), 0, 0, np.sin(turn / 2)))
        return {"bottle": about @ lying}

    def success(self, scene: Scene) -> bool:
        """A gripper holds the bottle upright, 8 cm up, 15 cm or more to that arm's side."""
        bottle = scene.pose("bottle")
        side = side_of(bottle.pos)
        return bool(
            abs(bottle.pos[0]) > _ASIDE_M
            and bottle.pos[2] > _RAISED_M
            and bottle.axis(2)[2] > _UPRIGHT
            and scene.holds(side, "bottle")
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Hold the bottle across from above, lift it, and turn it as it goes to the side."""
        bottle = scene.pose("bottle")
        side = side_of(bottle.pos)
        arm, along = robot[side], bottle.axis(2)
        heading = float(np.arctan2(along[1], along[0]))
        grasps = downward_options(bottle.apply((0, 0, _GRASP_M)), heading + np.pi / 2, 2)
        yield from pick(arm, arm.nearest(grasps))
        yield from robot.wait(3)
        offset = held(scene, side, "bottle")
        sign = 1 if side is Side.RIGHT else -1
        goal = (sign * _GOAL_M[0], *_GOAL_M[1:])
        turns = np.linspace(-np.pi, np.pi, 24, endpoint=False)
        options = [
            Pose.of(goal, (np.cos(turn / 2), 0, 0, np.sin(turn / 2))) @ offset for turn in turns
        ]
        # The tool ends level, and has to come from the robot's side.
        yield from arm.go(arm.nearest([pose for pose in options if pose.axis(2)[1] > 0.7]))


TASK = AdjustBottle()
