"""Pick up the microphone with one arm and hand it to the other."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import held, pick, side_of
from ..expert.grasps import downward_options
from ..mjcf import Mjcf, add, visual
from ..pose import Array, Pose, yaw_quat
from ..robot.panda import Side
from ..scene.objects import HIDDEN, add_box, add_material, fixed_body, free_body
from ..scene.view import Scene
from .base import Layout, TabletopTask

_RADIUS_M = 0.022
"""Of the head and of the ring at the tail, on which the microphone lies."""
_GRIP_RADIUS_M = 0.014
_HEAD_M, _TAIL_M = 0.090, -0.085
"""Where head and tail ring are, along the body's x axis."""
_MAT_HALF_M = (0.125, 0.040, 0.002)
"""The microphone lies on a mat, which stays and so tells on which side it was."""
_HOLD_M = 0.055
"""From the middle to where a gripper holds the handle, on either side."""
_MEETING_M = (0.0, -0.10, 0.24)
_RAISED_M = 0.15
_OPEN, _SHUT, _APART_M = 0.8, 0.5, 0.03
_ACROSS = (0.7071067811865476, 0.0, 0.7071067811865476, 0.0)
"""Turns a cylinder's axis to x."""


class HandoverMic(TabletopTask):
    """As in RoboTwin 2.0: the arm on the microphone's side takes it, the other receives it."""

    name = "handover_mic"
    version = "1"
    budget_steps = 600
    instructions = (
        "Hand the microphone from one arm to the other.",
        "Pick up the microphone and pass it to the other arm.",
        "Give the microphone to the other gripper.",
        "Take the microphone with the nearer arm and hand it over.",
        "Pass the microphone across in the air.",
        "Lift the microphone and let the other arm take it.",
        "Transfer the microphone between the arms.",
        "Hand over the mic.",
        "Grab the microphone with one arm and give it to the other.",
        "Exchange the microphone between the grippers.",
        "Use both arms to hand the microphone over.",
        "One arm lifts the microphone, the other receives it.",
        "Pick the mic up from the table and pass it on.",
        "Move the microphone from one hand to the other.",
        "Let the far arm receive the microphone from the near one.",
        "Raise the mic and hand it to the opposite gripper.",
        "Bring the microphone to the middle and change hands.",
        "The microphone should end up in the other arm's gripper.",
        "Deliver the microphone to the opposite arm.",
        "Lift the black microphone and hand it over.",
    )
    unseen_instructions = (
        "It is the other arm's turn to speak: pass the mic.",
        "Swap the microphone to the opposite hand.",
        "Relay the mic from gripper to gripper.",
        "Offer the microphone to the arm that is farther from it.",
        "Change the hand that holds the microphone.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A microphone with a round head and a ring at its tail, and a mat fixed to the table."""
        add_box(fixed_body(model, "mat"), _MAT_HALF_M, (0.20, 0.36, 0.34, 1))
        mic = free_body(model, "microphone")
        black = add_material(model, "mic_black", (0.10, 0.10, 0.11, 1), specular=0.5)
        mesh = add_material(model, "mic_mesh", (0.55, 0.57, 0.60, 1), specular=0.8)
        middle, half = (_HEAD_M + _TAIL_M) / 2, (_HEAD_M - _TAIL_M) / 2
        grip = (half, _GRIP_RADIUS_M, _GRIP_RADIUS_M)
        add_box(mic, grip, (0, 0, 0, 1), pos=(middle, 0, 0), mass=0.06, **HIDDEN)
        # What it lies on is flat, so that it does not roll away.
        for x, long in ((_HEAD_M, 0.010), (_TAIL_M, 0.006)):
            foot = (long, 0.75 * _RADIUS_M, _RADIUS_M)
            add_box(mic, foot, (0, 0, 0, 1), pos=(x, 0, 0), mass=0.02, **HIDDEN)
        bar = {"type": "cylinder", "size": (_GRIP_RADIUS_M, half), "pos": (middle, 0, 0)}
        add(mic, "geom", material=black, quat=_ACROSS, **bar, **visual())
        ring = {"type": "cylinder", "size": (_RADIUS_M, 0.006), "pos": (_TAIL_M, 0, 0)}
        add(mic, "geom", material=black, quat=_ACROSS, **ring, **visual())
        ball = {"type": "ellipsoid", "size": (0.026, _RADIUS_M, _RADIUS_M)}
        add(mic, "geom", material=mesh, pos=(_HEAD_M, 0, 0), **ball, **visual())

    def sample(self, rng: np.random.Generator) -> Layout:
        """15 to 20 cm to one side, y -5 to 0 cm, along x within 0.3 rad, head left or right."""
        x = rng.uniform(0.15, 0.20) * rng.choice([-1.0, 1.0])
        turn = rng.choice([0.0, np.pi]) + rng.uniform(-0.3, 0.3)
        mat = Pose.of((x, rng.uniform(-0.05, 0.0), _MAT_HALF_M[2]), yaw_quat(turn))
        return {"mat": mat, "microphone": mat.raised(_MAT_HALF_M[2] + _RADIUS_M)}

    def success(self, scene: Scene) -> bool:
        """The other arm alone holds the microphone, up in the air and past the middle."""
        giver = side_of(scene.pose("mat").pos)
        receiver = Side.LEFT if giver is Side.RIGHT else Side.RIGHT
        sign = 1 if receiver is Side.RIGHT else -1
        mic = scene.pose("microphone")
        return bool(
            sign * mic.pos[0] > _APART_M
            and mic.pos[2] > _RAISED_M
            and scene.holds(receiver, "microphone")
            and not scene.touches(giver, "microphone")
            and scene.opening(receiver) < _SHUT
            and scene.opening(giver) > _OPEN
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Hold the outer half, lift, meet in the middle, change hands, draw apart."""
        mic = scene.pose("microphone")
        giver = side_of(mic.pos)
        receiver = Side.LEFT if giver is Side.RIGHT else Side.RIGHT
        outward = 1.0 if giver is Side.RIGHT else -1.0
        give, take = robot[giver], robot[receiver]
        yield from pick(give, give.nearest(_grasps(mic, outward)))
        yield from robot.wait(3)
        heading = 0.0 if mic.axis(0)[0] > 0 else np.pi
        offset = held(scene, giver, "microphone")
        yield from give.go(Pose.of(_MEETING_M, yaw_quat(heading)) @ offset)
        yield from robot.wait(3)
        yield from pick(take, take.nearest(_grasps(scene.pose("microphone"), -outward)), lift_m=0.0)
        yield from give.grip(1.0)
        yield from give.go(give.pose.raised(0.12))
        aside = Pose(take.pose.pos + np.array([-0.10 * outward, 0.0, 0.02]), take.pose.quat)
        yield from robot.together(give.go_home(), take.go(aside))


def _grasps(mic: Pose, outward: float) -> list[Pose]:
    """From above, on the half of the handle that lies towards +x or -x of the table."""
    along: Array = mic.axis(0) * np.sign(mic.axis(0)[0]) * outward
    return downward_options(mic.pos + _HOLD_M * along, mic.yaw() + np.pi / 2, 2)


TASK = HandoverMic()
