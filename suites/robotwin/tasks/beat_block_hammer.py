"""Take the hammer and strike the block with its head."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.grasps import downward_options
from ..mjcf import Mjcf, add, visual
from ..pose import Pose, up, yaw_quat
from ..robot.panda import Side
from ..scene.objects import HIDDEN, add_box, add_material, fixed_body, free_body
from ..scene.view import Scene
from .base import Layout, TabletopTask

_BLOCK_HALF_M = 0.025
_HEAD_HALF_M = 0.026
"""Half the head's height; the body's frame is at the head's centre, the handle along -y."""
_HEAD_RADIUS_M = 0.021
_GRASP_M = 0.085
"""Along the handle, from the head to where it is held."""
_CENTRED_M = 0.02


class BeatBlockHammer(TabletopTask):
    """As in RoboTwin 2.0: the hammer lies in the middle, the arm on the block's side uses it."""

    name = "beat_block_hammer"
    version = "1"
    budget_steps = 400
    instructions = (
        "Hit the block with the hammer.",
        "Pick up the hammer and strike the red block.",
        "Use the hammer to beat the block.",
        "Grab the hammer by its handle and hit the red cube.",
        "Beat the red block with the hammer's head.",
        "Take the hammer and knock on the block.",
        "Strike the top of the block with the hammer.",
        "Lift the hammer and bring it down on the red block.",
        "Hammer the red cube.",
        "Hold the hammer and tap the block from above.",
        "Reach for the hammer, then strike the block.",
        "Grasp the hammer and pound the red block.",
        "Use the arm nearer to the block to hit it with the hammer.",
        "Bring the hammer's head onto the block.",
        "Pick the hammer up and give the block a blow.",
        "Carry the hammer over the block and strike it.",
        "Hit the red cube from above with the hammer.",
        "Land the hammer on top of the red block.",
        "Use the tool on the table to beat the block.",
        "Raise the hammer and strike the cube with it.",
    )
    unseen_instructions = (
        "Let the hammer fall on the red cube.",
        "Whack the block with the mallet.",
        "Fetch the hammer and use it on the red object.",
        "Drive the hammer down onto the block.",
        "Make the head of the hammer meet the block's top.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A hammer that stands on its head's face, and a block fixed to the table."""
        hammer = free_body(model, "hammer")
        steel = add_material(model, "steel", (0.36, 0.38, 0.41, 1), specular=0.8, shininess=0.7)
        # Two cylinders' faces touch in one point in MuJoCo, boxes in four: a box stands steady.
        inside = (_HEAD_RADIUS_M * 0.85, _HEAD_RADIUS_M * 0.85, _HEAD_HALF_M)
        add_box(hammer, inside, (0, 0, 0, 1), mass=0.12, **HIDDEN)
        head = {"type": "cylinder", "size": (_HEAD_RADIUS_M, _HEAD_HALF_M), "material": steel}
        add(hammer, "geom", **head, **visual())
        add_box(hammer, (0.010, 0.065, 0.009), (0.72, 0.43, 0.16, 1), pos=(0, -0.08, 0), mass=0.02)
        add_box(fixed_body(model, "block"), (_BLOCK_HALF_M,) * 3, (0.80, 0.10, 0.10, 1))

    def sample(self, rng: np.random.Generator) -> Layout:
        """Block: x within 25 cm but 5 cm off the middle, y -5 to 15 cm, turned up to 0.5 rad."""
        x = rng.uniform(0.05, 0.25) * rng.choice([-1.0, 1.0])
        pos = (x, rng.uniform(-0.05, 0.15), _BLOCK_HALF_M)
        return {
            "hammer": Pose.of((0.0, -0.06, _HEAD_HALF_M)),
            "block": Pose.of(pos, yaw_quat(rng.uniform(-0.5, 0.5))),
        }

    def success(self, scene: Scene) -> bool:
        """The held hammer's face touches the block's top, within 2 cm of its centre."""
        hammer, block = scene.pose("hammer"), scene.pose("block")
        face = hammer.apply((0, 0, -_HEAD_HALF_M))
        top = block.apply((0, 0, _BLOCK_HALF_M))
        return bool(
            np.all(np.abs(face - top) < (_CENTRED_M, _CENTRED_M, 0.01))
            and scene.contacts("hammer", "block")
            and any(scene.touches(side, "hammer") for side in Side)
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Grasp the handle from above, carry the head over the block, and bring it down."""
        side = Side.RIGHT if scene.pose("block").pos[0] > 0 else Side.LEFT
        arm, hammer = robot[side], scene.pose("hammer")
        grasp = arm.nearest(downward_options(hammer.apply((0, -_GRASP_M, 0)), hammer.yaw(), 2))
        yield from arm.go(grasp.raised(0.10))
        yield from arm.go(grasp, speed=0.6)
        yield from arm.grip(0.0, steps=14)
        yield from arm.go(grasp.raised(0.12))
        yield from robot.wait(3)
        held = scene.pose("hammer").inverse() @ scene.tcp(side)
        top = scene.pose("block").apply((0, 0, _BLOCK_HALF_M))
        turns = np.linspace(-1.2, 1.2, 9)
        strike = arm.nearest(
            [Pose.of(top + up(_HEAD_HALF_M - 0.003), yaw_quat(turn)) @ held for turn in turns]
        )
        yield from arm.go(strike.raised(0.10))
        yield from arm.go(strike, speed=0.8)
        yield from robot.wait(4)
        yield from arm.go(strike.raised(0.10))


TASK = BeatBlockHammer()
