"""Pick up both bottles at once and hold them side by side in front of the robot."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import held
from ..expert.grasps import downward_options
from ..mjcf import Mjcf
from ..pose import Pose, up, yaw_quat
from ..robot.panda import Side
from ..scene.vessels import Bottle
from ..scene.view import Scene
from .base import Layout, TabletopTask

_BOTTLE = Bottle()
_BODIES = {Side.LEFT: "green_bottle", Side.RIGHT: "red_bottle"}
_COLOURS = {
    Side.LEFT: ((0.16, 0.46, 0.22, 1), (0.85, 0.80, 0.25, 1)),
    Side.RIGHT: ((0.66, 0.13, 0.12, 1), (0.92, 0.92, 0.90, 1)),
}
_SPOTS_M = {Side.LEFT: (-0.06, -0.105), Side.RIGHT: (0.06, -0.105)}
"""About these, in x and y, the bottles have to be; RoboTwin's."""
_NEAR_M = 0.10
_RAISED_M = 0.15
_GOALS_M = {Side.LEFT: (-0.11, -0.10, 0.19), Side.RIGHT: (0.11, -0.10, 0.19)}


class PickDualBottles(TabletopTask):
    """As in RoboTwin 2.0: each arm takes the bottle on its side, both at the same time."""

    name = "pick_dual_bottles"
    version = "1"
    budget_steps = 400
    instructions = (
        "Pick up both bottles with both arms.",
        "Lift the two bottles at the same time.",
        "Take one bottle with each arm and raise them.",
        "Grab the green bottle with the left arm and the red bottle with the right arm.",
        "Lift both bottles and hold them in front of the robot.",
        "Use both grippers to pick up the two bottles.",
        "Raise the bottles together and bring them to the middle.",
        "Pick the two bottles up by their necks.",
        "Hold up the green and the red bottle side by side.",
        "Each arm should lift the bottle on its side.",
        "Bring both bottles up in front of the robot.",
        "Lift the left bottle with the left arm and the right bottle with the right arm.",
        "Grasp both bottles at once and lift them.",
        "Collect the two bottles from the table and hold them up.",
        "Pick up a bottle with each gripper and move them to the centre.",
        "Get both bottles off the table together.",
        "Take the bottles and hold them next to each other in the air.",
        "Lift the pair of bottles.",
        "Reach for both bottles and raise them to the front.",
        "Carry both bottles to the middle without putting them down.",
    )
    unseen_instructions = (
        "Hoist the two bottles together.",
        "One bottle in each hand, held high, please.",
        "Fetch the pair of bottles and present them.",
        "Let both bottles leave the table at the same time.",
        "Seize the bottles left and right and show them in front.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """Two bottles."""
        for side, name in _BODIES.items():
            _BOTTLE.add(model, name, *_COLOURS[side])

    def sample(self, rng: np.random.Generator) -> Layout:
        """One bottle a side, 6 to 25 cm off the middle, y 3 to 15 cm, turned at will."""
        layout: Layout = {}
        for side, name in _BODIES.items():
            sign = -1 if side is Side.LEFT else 1
            pos = (sign * rng.uniform(0.06, 0.25), rng.uniform(0.03, 0.15), 0.0)
            layout[name] = Pose.of(pos, yaw_quat(rng.uniform(-np.pi, np.pi)))
        return layout

    def success(self, scene: Scene) -> bool:
        """Each bottle is held by the arm on its side, 15 cm up, within 10 cm of its spot."""
        return all(self._held_up(scene, side) for side in Side)

    def _held_up(self, scene: Scene, side: Side) -> bool:
        bottle = scene.pose(_BODIES[side])
        offset = bottle.pos[:2] - _SPOTS_M[side]
        return bool(
            np.all(np.abs(offset) < _NEAR_M)
            and bottle.pos[2] > _RAISED_M
            and bottle.axis(2)[2] > 0.8
            and scene.holds(side, _BODIES[side])
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Both arms in step: to the necks, grip, up, and to the middle."""
        grasps = {}
        for side in Side:
            bottle = scene.pose(_BODIES[side])
            options = downward_options(bottle.pos + up(_BOTTLE.grip_m), bottle.yaw(), 8)
            grasps[side] = robot[side].nearest(options)
        yield from robot.go_together({side: pose.raised(0.08) for side, pose in grasps.items()})
        yield from robot.go_together(grasps, speed=0.6)
        yield from robot.together(*(robot[side].grip(0.0, steps=12) for side in Side))
        yield from robot.go_together({side: pose.raised(0.15) for side, pose in grasps.items()})
        yield from robot.wait(3)
        goals = {}
        for side in Side:
            offset = held(scene, side, _BODIES[side])
            turns = np.arange(12) * np.pi / 6
            options = [Pose.of(_GOALS_M[side], yaw_quat(turn)) @ offset for turn in turns]
            goals[side] = robot[side].nearest(options)
        yield from robot.go_together(goals)


TASK = PickDualBottles()
