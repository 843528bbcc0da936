"""Press the stapler's arm down, with the gripper closed."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import side_of
from ..expert.grasps import downward_options
from ..mjcf import Mjcf, add, visual
from ..pose import Array, Pose, up, yaw_quat
from ..robot.panda import Side
from ..scene.objects import OBJECT_CONTACT, add_box, fixed_body
from ..scene.view import Scene
from .base import Layout, TabletopTask

_HINGE_M = (-0.055, 0.0, 0.030)
"""In the stapler's frame, whose x axis points from the hinge to the mouth."""
_ARM_M = 0.115
_RAISED_RAD = 0.20
"""How far a spring holds the arm up."""
_PRESSED_RAD = 0.12
_CLOSED, _CENTRED_M, _SLOW_M_S, _UPRIGHT = 0.05, 0.03, 0.05, 0.8


class PressStapler(TabletopTask):
    """As in RoboTwin 2.0: the arm on the stapler's side presses it from above."""

    name = "press_stapler"
    version = "1"
    budget_steps = 400
    instructions = (
        "Press the stapler.",
        "Push the stapler down.",
        "Press down on the top of the stapler.",
        "Use the nearer arm to press the stapler.",
        "Close the gripper and press the stapler with it.",
        "Staple once.",
        "Push the arm of the stapler down.",
        "Move over the stapler and press it.",
        "Squeeze the stapler against the table.",
        "Operate the stapler on the table.",
        "Press the blue stapler from above.",
        "Lower a closed gripper onto the stapler and press.",
        "Reach for the stapler and push its top down.",
        "Press the stapler until it closes.",
        "Push on the front of the stapler.",
        "Give the stapler one press.",
        "Find the stapler and press it down.",
        "Use one arm to close the stapler.",
        "Hit the stapler gently from above until it is down.",
        "Bring the stapler's arm down onto its base.",
    )
    unseen_instructions = (
        "Put a staple through.",
        "Clamp the office stapler shut from above.",
        "Make the stapler bite.",
        "Depress the long blue lever.",
        "Let the stapler's jaw close under a gripper.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A base fixed to the table, and an arm on a hinge with a spring."""
        stapler = fixed_body(model, "stapler")
        blue, steel = (0.13, 0.27, 0.55, 1), (0.62, 0.64, 0.67, 1)
        add_box(stapler, (0.075, 0.019, 0.005), (0.16, 0.16, 0.18, 1), pos=(0, 0, 0.005))
        block = {"type": "box", "size": (0.010, 0.017, 0.012), "pos": (-0.062, 0, 0.020)}
        add(stapler, "geom", rgba=blue, **block, **visual())
        add_box(stapler, (0.008, 0.010, 0.002), steel, pos=(0.055, 0, 0.012))
        arm = add(stapler, "body", name="stapler_arm", pos=_HINGE_M)
        add(
            arm,
            "joint",
            name="stapler_arm",
            type="hinge",
            axis=(0, 1, 0),
            range=(0, _RAISED_RAD),
            stiffness=0.4,
            springref=-0.5,
            damping=0.05,
            armature=0.001,
            solreflimit=(0.01, 1),
        )
        tilt = (np.cos(_RAISED_RAD / 2), 0, -np.sin(_RAISED_RAD / 2), 0)
        along = Pose.of((0, 0, 0), tilt)
        for half, pos, rgba in (
            ((_ARM_M / 2, 0.013, 0.004), (_ARM_M / 2, 0, -0.001), steel),
            ((_ARM_M / 2 - 0.004, 0.016, 0.008), (_ARM_M / 2 - 0.008, 0, 0.011), blue),
        ):
            add(
                arm,
                "geom",
                type="box",
                size=half,
                pos=along.apply(pos),
                quat=tilt,
                mass=0.03,
                rgba=rgba,
                **OBJECT_CONTACT,
            )

    def sample(self, rng: np.random.Generator) -> Layout:
        """4 to 20 cm to one side, y -10 to 5 cm, turned at will."""
        x = rng.uniform(0.04, 0.20) * rng.choice([-1.0, 1.0])
        pos = (x, rng.uniform(-0.10, 0.05), 0.0)
        return {"stapler": Pose.of(pos, yaw_quat(rng.uniform(-np.pi, np.pi)))}

    def success(self, scene: Scene) -> bool:
        """The arm is down, under a finger of a closed, slow gripper that points down at it."""
        return scene.joint("stapler_arm") > _PRESSED_RAD and any(
            _presses(scene, side) for side in Side
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Close, move over the mouth's end of the arm, and press."""
        stapler = scene.pose("stapler")
        arm = robot[side_of(stapler.pos)]
        raised, pressed = (_on_arm(stapler, angle) for angle in (0.0, _RAISED_RAD - 0.01))
        above = arm.nearest(downward_options(raised, stapler.yaw(), 4)).raised(0.06)
        yield from robot.together(arm.grip(0.0), arm.go(above))
        yield from arm.go(Pose(raised, above.quat), speed=0.6)
        yield from arm.go(Pose(pressed, above.quat), speed=0.3)
        yield from robot.wait(4)
        yield from arm.go(above)


def _on_arm(stapler: Pose, pressed_rad: float) -> Array:
    """Where the tool point is when the fingertips touch the arm's far end, pressed that far."""
    slope = _RAISED_RAD - pressed_rad
    lean = Pose.of(_HINGE_M, (np.cos(slope / 2), 0, -np.sin(slope / 2), 0))
    # The tips lie 6 mm beyond the tool point.
    return stapler.apply(lean.apply((0.80 * _ARM_M, 0, 0.019)) + up(0.006))


def _presses(scene: Scene, side: Side) -> bool:
    tool = scene.tcp(side)
    offset = tool.pos - _on_arm(scene.pose("stapler"), _RAISED_RAD)
    return bool(
        scene.opening(side) < _CLOSED
        and -tool.axis(2)[2] > _UPRIGHT
        and np.all(np.abs(offset[:2]) < _CENTRED_M)
        and scene.touches(side, "stapler_arm")
        and scene.tool_speed(side) < _SLOW_M_S
    )


TASK = PressStapler()
