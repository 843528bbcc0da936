"""Press the button of a table bell, with the gripper closed."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.grasps import downward_options
from ..mjcf import Collides, Mjcf, add, colliding, visual
from ..pose import Pose
from ..robot.panda import Side
from ..scene.objects import fixed_body
from ..scene.view import Scene
from .base import Layout, TabletopTask

_TOP_M = 0.062
"""Height of the unpressed button's top."""
_TRAVEL_M = 0.008
_PRESSED_M = 0.004
_CLOSED = 0.05
_CENTRED_M = 0.025
_SLOW_M_S = 0.05
"""A press, not a blow in passing: the expert's tool moves at half of that."""
_UPRIGHT = 0.8
"""Cosine of the largest angle between the tool and straight down: 37 degrees."""


class ClickBell(TabletopTask):
    """As in RoboTwin 2.0: the bell stands left or right, the arm on its side presses it."""

    name = "click_bell"
    version = "1"
    budget_steps = 400
    instructions = (
        "Press the bell.",
        "Click the bell on the table.",
        "Ring the bell by pressing its top.",
        "Push down the button of the table bell.",
        "Use the nearer arm to ring the bell.",
        "Move over the bell and press it.",
        "Tap the top of the bell.",
        "Close the gripper and press the bell with it.",
        "Make the desk bell ring.",
        "Give the service bell one click.",
        "Press the button on top of the golden bell.",
        "Touch the bell's button from above until it goes down.",
        "Reach for the bell and push its top.",
        "Ring the reception bell once.",
        "Lower a closed gripper onto the bell's button.",
        "Hit the bell's button from above.",
        "Find the bell and click it.",
        "Push the bell's plunger down.",
        "Strike the top of the bell with the fingertips.",
        "Sound the bell on the table.",
    )
    unseen_instructions = (
        "Call for service with the bell.",
        "Let me hear that bell.",
        "Depress the plunger of the counter bell.",
        "Bring a gripper down on the brass bell so that it rings.",
        "Use one arm to ding the bell.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A fixed base and dome, and a button on a spring."""
        bell = fixed_body(model, "bell")
        brass, dark = (0.86, 0.67, 0.22, 1), (0.16, 0.14, 0.15, 1)
        asset = model.section("asset")
        add(asset, "material", name="brass", rgba=brass, specular=0.9, shininess=0.8)
        bits = colliding(Collides.THINGS)
        add(
            bell, "geom", type="cylinder", size=(0.040, 0.005), pos=(0, 0, 0.005), rgba=dark, **bits
        )
        add(
            bell,
            "geom",
            type="ellipsoid",
            size=(0.036, 0.036, 0.036),
            pos=(0, 0, 0.012),
            material="brass",
            **bits,
        )
        add(
            bell,
            "geom",
            type="cylinder",
            size=(0.004, 0.006),
            pos=(0, 0, 0.049),
            rgba=dark,
            **visual(),
        )
        button = add(bell, "body", name="bell_button", pos=(0, 0, _TOP_M - 0.004))
        add(
            button,
            "joint",
            name="bell_button",
            type="slide",
            axis=(0, 0, 1),
            range=(-_TRAVEL_M, 0),
            stiffness=400,
            damping=4,
            springref=0.003,
            solreflimit=(0.01, 1),
        )
        add(
            button,
            "geom",
            type="cylinder",
            size=(0.011, 0.004),
            mass=0.02,
            material="brass",
            **bits,
        )

    def sample(self, rng: np.random.Generator) -> Layout:
        """X within 25 cm of the middle but 5 cm off it; y from -20 cm to 0."""
        x = rng.uniform(0.05, 0.25) * rng.choice([-1.0, 1.0])
        return {"bell": Pose.of((x, rng.uniform(-0.2, 0.0), 0.0))}

    def success(self, scene: Scene) -> bool:
        """The button is down, under a finger of a closed, slow gripper that points down at it."""
        return scene.joint("bell_button") < -_PRESSED_M and any(
            _presses(scene, side) for side in Side
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Close, move over the bell, press, and come back up."""
        bell = scene.pose("bell")
        side = Side.RIGHT if bell.pos[0] > 0 else Side.LEFT
        arm = robot[side]
        above = arm.nearest(downward_options(bell.raised(_TOP_M + 0.08).pos, 0.0, 2))
        yield from robot.together(arm.grip(0.0), arm.go(above))
        # The fingertips lie 6 mm beyond the tool point.
        press = Pose(bell.raised(_TOP_M + 0.0064 - _TRAVEL_M).pos, above.quat)
        yield from arm.go(press, speed=0.5)
        yield from robot.wait(4)
        yield from arm.go(above)


def _presses(scene: Scene, side: Side) -> bool:
    tool = scene.tcp(side)
    offset = tool.pos - scene.pose("bell").pos
    return bool(
        scene.opening(side) < _CLOSED
        and -tool.axis(2)[2] > _UPRIGHT
        and np.all(np.abs(offset[:2]) < _CENTRED_M)
        and scene.touches(side, "bell_button")
        and scene.tool_speed(side) < _SLOW_M_S
    )


TASK = ClickBell()
