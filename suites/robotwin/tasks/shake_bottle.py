"""Pick up the bottle and shake it."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import pick, side_of
from ..expert.grasps import downward_options
from ..mjcf import Mjcf
from ..pose import Pose, up, yaw_quat
from ..robot.panda import Side
from ..scene.vessels import Bottle
from ..scene.view import Scene
from .base import Layout, TabletopTask

_BOTTLE = Bottle()
_LIFT_M, _RAISED_M = 0.20, 0.08
_UPRIGHT = np.cos(np.deg2rad(40))
"""A bottle that leans more than this is being shaken."""
_SWINGS_RAD = np.deg2rad((60, -30, 60, -30, 60, 0))
"""How far the tool leans away from the robot, one swing after another."""


class ShakeBottle(TabletopTask):
    """As in RoboTwin 2.0: the arm on the bottle's side lifts it and swings it to and fro."""

    name = "shake_bottle"
    version = "1"
    budget_steps = 700
    instructions = (
        "Shake the bottle.",
        "Pick up the bottle and shake it.",
        "Lift the bottle and swing it to and fro.",
        "Grab the bottle by its neck and shake it.",
        "Take the bottle off the table and give it a shake.",
        "Use the nearer arm to shake the bottle.",
        "Raise the bottle, then shake it a few times.",
        "Hold the blue bottle up and shake it.",
        "Give the bottle a good shake.",
        "Mix the bottle's contents by shaking it.",
        "Grasp the bottle and move it back and forth.",
        "Lift the bottle and tilt it back and forth.",
        "Shake the drink in the bottle.",
        "Pick the bottle up from the table and shake it in the air.",
        "Reach for the bottle, lift it and shake.",
        "Bring the bottle up and shake it.",
        "The bottle needs shaking; pick it up and do so.",
        "Swing the bottle in the air after lifting it.",
        "Take hold of the bottle and shake it well.",
        "Shake the blue bottle above the table.",
    )
    unseen_instructions = (
        "Stir up what is in the bottle.",
        "Agitate the flask with one arm.",
        "The bottle says: shake before use.",
        "Wave the bottle about above the table.",
        "Get the contents of that bottle moving.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """One bottle."""
        _BOTTLE.add(model, "bottle", (0.15, 0.33, 0.62, 1), (0.92, 0.92, 0.90, 1))

    def sample(self, rng: np.random.Generator) -> Layout:
        """10 to 15 cm to one side, y -15 to -5 cm, turned at will."""
        x = rng.uniform(0.10, 0.15) * rng.choice([-1.0, 1.0])
        pos = (x, rng.uniform(-0.15, -0.05), 0.0)
        return {"bottle": Pose.of(pos, yaw_quat(rng.uniform(-np.pi, np.pi)))}

    def success(self, scene: Scene) -> bool:
        """The bottle, held 8 cm up or more, leans by more than 40 degrees."""
        bottle = scene.pose("bottle")
        return bool(
            bottle.pos[2] > _RAISED_M
            and bottle.axis(2)[2] < _UPRIGHT
            and any(scene.holds(side, "bottle") for side in Side)
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Hold the neck, lift, and swing the bottle away from the robot and back."""
        bottle = scene.pose("bottle")
        arm = robot[side_of(bottle.pos)]
        options = downward_options(bottle.pos + up(_BOTTLE.grip_m), bottle.yaw(), 8)
        # With the fingers' line across, the swing turns about it.
        across = [pose for pose in options if abs(pose.axis(1)[0]) > 0.9]
        yield from pick(arm, arm.nearest(across), lift_m=_LIFT_M)
        yield from robot.wait(3)
        rest = arm.pose
        for angle in _SWINGS_RAD:
            lean = Pose.of((0, 0, 0), (np.cos(angle / 2), np.sin(angle / 2), 0, 0))
            yield from arm.go(Pose(rest.pos, (lean @ Pose(np.zeros(3), rest.quat)).quat))


TASK = ShakeBottle()
