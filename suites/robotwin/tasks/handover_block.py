"""Take the block with the left arm, hand it to the right, and stand it on the pad."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.grasps import downward_options, pointing
from ..mjcf import Mjcf
from ..pose import Array, Pose, yaw_quat
from ..robot.panda import Side
from ..scene.objects import add_box, fixed_body, free_body
from ..scene.view import Scene
from .base import Layout, TabletopTask

_HALF_M = (0.025, 0.025, 0.10)
_PAD_HALF_M = (0.05, 0.05, 0.005)
_HIGH_GRASP_M, _LOW_GRASP_M = 0.072, -0.045
"""Where the left and the right gripper hold the block, above and below its centre."""
_MEETING_M = (0.02, -0.10, 0.22)
"""Where the block's centre is when it changes hands."""
_RECEIVING_RAD = np.deg2rad(160)
"""Direction, about z, in which the right gripper reaches for the block."""
_OPEN = 0.8


class HandoverBlock(TabletopTask):
    """As in RoboTwin 2.0: the block starts left, the pad lies right."""

    name = "handover_block"
    version = "1"
    budget_steps = 800
    instructions = (
        "Hand the block from the left arm to the right and place it on the blue pad.",
        "Pass the red block to the right arm and set it on the blue pad.",
        "Pick up the block with the left arm, hand it over, and put it on the pad.",
        "Left arm: take the red block; right arm: stand it on the blue pad.",
        "Give the block to the other arm and place it on the pad.",
        "Transfer the red block between the arms and set it on the target pad.",
        "Hand over the tall block and stand it on the blue square.",
        "Use both arms to bring the red block to the blue pad.",
        "Grasp the block on the left, pass it to the right, and put it down on the pad.",
        "The left arm lifts the block, the right arm places it on the pad.",
        "Move the long red block to the blue pad with a handover.",
        "Pass the block across and stand it upright on the pad.",
        "Let the right arm receive the block and place it on the blue pad.",
        "Lift the block with the left gripper and hand it to the right gripper for placing.",
        "Exchange the block between the arms, then set it on the blue pad.",
        "Bring the red block over to the pad on the right by handing it over.",
        "Take the block, change hands, and place it on the pad.",
        "Stand the red block on the blue pad after passing it to the right arm.",
        "Have one arm pick the block up and the other put it on the pad.",
        "Carry the tall block from left to right and place it on the pad.",
    )
    unseen_instructions = (
        "Relay the red bar from arm to arm until it stands on the blue square.",
        "The left hand fetches the bar, the right hand delivers it to the pad.",
        "Swap the block to your right gripper and deposit it on the blue tile.",
        "Get the upright bar onto the blue target by a handover.",
        "Share the job: left picks, right places on the pad.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A tall block and a flat pad that is fixed to the table."""
        add_box(free_body(model, "block"), _HALF_M, (0.80, 0.12, 0.10, 1), mass=0.12)
        add_box(fixed_body(model, "pad"), _PAD_HALF_M, (0.10, 0.22, 0.70, 1))

    def sample(self, rng: np.random.Generator) -> Layout:
        """Block: x -25 to -5 cm, y -5 to 15 cm; pad: x 10 to 25 cm, y 8 to 15 cm."""
        block = (rng.uniform(-0.25, -0.05), rng.uniform(-0.05, 0.15), _HALF_M[2])
        pad = (rng.uniform(0.10, 0.25), rng.uniform(0.08, 0.15), _PAD_HALF_M[2])
        yaw = np.deg2rad(22.5) + rng.uniform(-0.2, 0.2)
        return {"block": Pose.of(block, yaw_quat(yaw)), "pad": Pose.of(pad)}

    def success(self, scene: Scene) -> bool:
        """The block stands on the pad, at rest, and the right gripper is open."""
        block, pad = scene.pose("block"), scene.pose("pad")
        offset = block.apply((0, 0, -_HALF_M[2])) - pad.apply((0, 0, _PAD_HALF_M[2]))
        return bool(
            np.all(np.abs(offset) < (0.03, 0.03, 0.01))
            and block.axis(2)[2] > 0.95
            and scene.speed("block") < 0.02
            and scene.opening(Side.RIGHT) > _OPEN
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Left takes the top from above, right takes the lower half from the side and places."""
        left, right = robot[Side.LEFT], robot[Side.RIGHT]
        yield from self._lift(robot, scene)
        take = self._receiving_pose(robot, scene)
        back = Pose(take.pos - 0.12 * take.axis(2), take.quat)
        yield from right.go(back)
        yield from right.go(take, speed=0.5)
        yield from right.grip(0.0, steps=14)
        yield from left.grip(1.0)
        yield from left.go(left.pose.raised(0.12))
        yield from robot.together(left.go_home(), self._place(robot, scene))

    def _lift(self, robot: Bimanual, scene: Scene) -> Script:
        left, block = robot[Side.LEFT], scene.pose("block")
        grasp = left.nearest(downward_options(block.apply((0, 0, _HIGH_GRASP_M)), block.yaw(), 4))
        yield from left.go(grasp.raised(0.10))
        yield from left.go(grasp, speed=0.6)
        yield from left.grip(0.0, steps=14)
        yield from left.go(grasp.raised(0.12))
        yield from robot.wait(3)
        held = scene.pose("block").inverse() @ scene.tcp(Side.LEFT)
        turns = _RECEIVING_RAD + np.arange(4) * np.pi / 2
        meeting = left.nearest([Pose.of(_MEETING_M, yaw_quat(turn)) @ held for turn in turns])
        yield from left.go(meeting)
        yield from robot.wait(3)

    def _receiving_pose(self, robot: Bimanual, scene: Scene) -> Pose:
        """A level grasp of the block's lower half, from the right arm's side."""
        block = scene.pose("block")
        quarter_turns = np.round((_RECEIVING_RAD - block.yaw()) / (np.pi / 2))
        angle = block.yaw() + quarter_turns * np.pi / 2
        approach = np.array([np.cos(angle), np.sin(angle), 0.0])
        centre = block.apply((0, 0, _LOW_GRASP_M))
        return robot[Side.RIGHT].nearest([_level(centre, approach, sign) for sign in (-1.0, 1.0)])

    def _place(self, robot: Bimanual, scene: Scene) -> Script:
        right = robot[Side.RIGHT]
        yield from right.go(right.pose.raised(0.02))
        yield from robot.wait(3)
        held = scene.pose("block").inverse() @ scene.tcp(Side.RIGHT)
        foot = scene.pose("pad").apply((0, 0, _PAD_HALF_M[2] + _HALF_M[2]))
        turns = np.linspace(-np.pi, np.pi, 24, endpoint=False)
        place = right.nearest([Pose.of(foot, yaw_quat(turn)) @ held for turn in turns])
        place = place.raised(0.002)
        yield from right.go(place.raised(0.08))
        yield from right.go(place, speed=0.5)
        yield from robot.wait(3)
        yield from right.grip(1.0)
        yield from right.go(Pose(place.pos - 0.12 * place.axis(2), place.quat))


def _level(pos: Array, approach: Array, sign: float) -> Pose:
    """Tool level at `pos`, fingers closing sideways; `sign` turns it about its own axis."""
    sideways = np.array([-approach[1], approach[0], 0.0]) * sign
    return Pose.of(pos, pointing(approach, sideways))


TASK = HandoverBlock()
