"""Push down the lever of a switch, with the gripper closed."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import side_of
from ..expert.grasps import downward_options
from ..mjcf import Element, Mjcf, add
from ..pose import Array, Pose, yaw_quat
from ..robot.panda import Side
from ..scene.objects import OBJECT_CONTACT, add_box, fixed_body
from ..scene.view import Scene
from .base import Layout, TabletopTask

_HINGE_M = (0.0, -0.020, 0.085)
"""The lever's hinge in the switch's frame; the face looks along -y."""
_LEVER_M, _GAP_M = 0.060, 0.010
"""How far the lever's end and its beginning are from the hinge."""
_RAISED_RAD, _TRAVEL_RAD = 0.45, 0.90
"""How far the lever points up at first, and how far it goes down."""
_TURNED_RAD = 0.85
_CLOSED, _SLOW_M_S, _UPRIGHT = 0.05, 0.08, 0.8


class TurnSwitch(TabletopTask):
    """As in RoboTwin 2.0: the arm that the switch faces turns it over."""

    name = "turn_switch"
    version = "1"
    budget_steps = 400
    instructions = (
        "Turn the switch.",
        "Push the lever of the switch down.",
        "Flip the switch.",
        "Press down the red lever.",
        "Use the nearer arm to turn the switch.",
        "Move the lever of the switch to its lower end.",
        "Toggle the switch on the table.",
        "Operate the switch with a closed gripper.",
        "Push the red handle of the switch down.",
        "Turn the switch off by pressing its lever.",
        "Reach for the switch and flip it.",
        "Close the gripper and push the lever down with it.",
        "Lower the lever of the switch.",
        "Tip the switch's lever over.",
        "Press the lever of the grey switch box from above.",
        "Change the position of the switch.",
        "Throw the switch.",
        "Bring the switch's lever down.",
        "Use one arm to flip the lever.",
        "Put the switch into its lower position.",
    )
    unseen_instructions = (
        "Cut the power at the switch.",
        "The red handle should point to the table.",
        "Knock the lever on the grey box to its other end.",
        "Let the switch change its state.",
        "Depress the red bar on the box.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A box fixed to the table, with a lever that stays where it is pushed."""
        switch = fixed_body(model, "switch")
        grey, dark = (0.66, 0.68, 0.70, 1), (0.22, 0.23, 0.25, 1)
        add_box(switch, (0.045, 0.020, 0.060), grey, pos=(0, 0, 0.060))
        add_box(switch, (0.060, 0.035, 0.004), dark, pos=(0, 0, 0.004))
        _add_lever(switch)

    def sample(self, rng: np.random.Generator) -> Layout:
        """5 to 25 cm to one side, y 0 to 10 cm, facing the robot within 45 degrees."""
        x = rng.uniform(0.05, 0.25) * rng.choice([-1.0, 1.0])
        pos = (x, rng.uniform(0.0, 0.10), 0.0)
        return {"switch": Pose.of(pos, yaw_quat(rng.uniform(-np.pi / 4, np.pi / 4)))}

    def success(self, scene: Scene) -> bool:
        """The lever is down, under a finger of a closed, slow gripper that points down."""
        return scene.joint("switch_lever") > _TURNED_RAD and any(
            _pushes(scene, side) for side in Side
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Close, move over the lever's end, and push it down along its arc."""
        switch = scene.pose("switch")
        arm = robot[side_of(switch.pos)]
        start = _on_lever(switch, -_RAISED_RAD, 0.03)
        above = arm.nearest(downward_options(start, switch.yaw(), 2))
        yield from robot.together(arm.grip(0.0), arm.go(above.raised(0.05)))
        yield from arm.go(above)
        for share in np.linspace(0, 1, 4):
            angle = -_RAISED_RAD + share * (_TRAVEL_RAD + 0.05)
            yield from arm.go(Pose(_on_lever(switch, angle, 0.0), above.quat), speed=0.5)
        yield from robot.wait(4)
        yield from arm.go(above.raised(0.05))


def _add_lever(switch: Element) -> None:
    lever = add(switch, "body", name="switch_lever", pos=_HINGE_M, gravcomp=1)
    add(
        lever,
        "joint",
        name="switch_lever",
        type="hinge",
        axis=(1, 0, 0),
        range=(0, _TRAVEL_RAD),
        damping=0.02,
        frictionloss=0.08,
        armature=0.0005,
        solreflimit=(0.01, 1),
    )
    # At angle 0 the lever points away from the face and up.
    tilt = (np.cos(_RAISED_RAD / 2), -np.sin(_RAISED_RAD / 2), 0, 0)
    along = Pose.of((0, 0, 0), tilt)
    add(
        lever,
        "geom",
        type="box",
        size=(0.014, (_LEVER_M - _GAP_M) / 2, 0.005),
        pos=along.apply((0, -(_LEVER_M + _GAP_M) / 2, 0)),
        quat=tilt,
        mass=0.02,
        rgba=(0.80, 0.12, 0.10, 1),
        **OBJECT_CONTACT,
    )


def _on_lever(switch: Pose, angle_rad: float, above_m: float) -> Array:
    """Where the tool point is when the fingertips are that far above the lever's outer part.

    `angle_rad` is the lever's slope: negative while it points up.
    """
    reach = 0.75 * _LEVER_M
    end = np.array([0.0, -reach * np.cos(angle_rad), -reach * np.sin(angle_rad)])
    # Half the lever's thickness, and the tips lie 6 mm beyond the tool point.
    return switch.apply(np.asarray(_HINGE_M) + end + (0.0, 0.0, 0.005 + 0.006 + above_m))


def _pushes(scene: Scene, side: Side) -> bool:
    return bool(
        scene.opening(side) < _CLOSED
        and -scene.tcp(side).axis(2)[2] > _UPRIGHT
        and scene.touches(side, "switch_lever")
        and scene.tool_speed(side) < _SLOW_M_S
    )


TASK = TurnSwitch()
