"""Open the microwave's door by its handle, with the left arm."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import level
from ..mjcf import Element, Mjcf, add, visual
from ..pose import Array, Pose, yaw_quat
from ..robot.panda import Side
from ..scene.objects import OBJECT_CONTACT, add_box, fixed_body
from ..scene.view import Scene
from .base import Layout, TabletopTask

_HALF_M = (0.15, 0.10, 0.10)
"""Half of the microwave's width, depth and height; its door looks along -y."""
_DOOR_M = 0.22
"""The door's width; the rest of the front is the panel with the buttons."""
_HANDLE_OUT_M, _HANDLE_HEIGHT_M = 0.050, 0.12
_LIMIT_RAD = np.pi / 2
_OPENED = 0.6
"""Share of the limit, as in RoboTwin."""
_ON_HANDLE_M = 0.04
_OBLIQUE_RAD, _FOLLOW = 0.40, 0.6
"""The tool takes the handle from the arm's side, and makes this share of the door's turn.

The handle is round, so that it slips in the grip for the rest."""


class OpenMicrowave(TabletopTask):
    """As in RoboTwin 2.0: the left arm takes the handle and pulls the door open."""

    name = "open_microwave"
    version = "1"
    budget_steps = 1500
    reserved = ((-0.45, -0.30, 0.25, 0.10),)
    instructions = (
        "Open the microwave.",
        "Open the microwave's door.",
        "Pull the door of the microwave open.",
        "Use the left arm to open the microwave.",
        "Grab the handle and open the microwave door.",
        "Take the door's handle and pull.",
        "Swing the microwave's door open.",
        "Open the door of the oven on the table.",
        "Grasp the microwave's handle with the left gripper and open it.",
        "Pull the handle towards the robot until the door is open.",
        "Get the microwave open.",
        "Move the microwave door to its open position.",
        "Open up the microwave with one arm.",
        "Hold the handle and swing the door to the left.",
        "Make the inside of the microwave accessible.",
        "Reach for the handle of the microwave and open the door wide.",
        "The microwave is closed; open it.",
        "Draw the microwave's door open by its bar.",
        "Open the microwave door more than halfway.",
        "Let the left arm pull the microwave's door.",
    )
    unseen_instructions = (
        "Food has to go in: open the oven's door.",
        "Swing the appliance's front open.",
        "Tug at the bar until the door stands open.",
        "Give access to the microwave's inside.",
        "Unclose the microwave.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A hollow box fixed to the table, and a door on a hinge at its left edge."""
        microwave = fixed_body(model, "microwave")
        _add_shell(microwave)
        _add_door(microwave)

    def sample(self, rng: np.random.Generator) -> Layout:
        """X -12 to -2 cm, y 18 to 22 cm."""
        pos = (rng.uniform(-0.12, -0.02), rng.uniform(0.18, 0.22), 0.0)
        return {"microwave": Pose.of(pos)}

    def success(self, scene: Scene) -> bool:
        """The door is open by 60 % of its range or more, and the left arm holds the handle."""
        angle = scene.joint("microwave_door")
        handle = _handle(scene.pose("microwave"), angle)
        return bool(
            angle > _OPENED * _LIMIT_RAD
            and scene.holds(Side.LEFT, "microwave_door")
            and np.linalg.norm(scene.tcp(Side.LEFT).pos - handle) < _ON_HANDLE_M
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Hold the handle from the front, and follow its arc."""
        arm = robot[Side.LEFT]
        microwave = scene.pose("microwave")
        start = _tool(microwave, 0.0)
        grasp = arm.nearest(start)
        turn = int(np.argmax([abs(float(pose.quat @ grasp.quat)) for pose in start]))
        back = Pose(grasp.pos - 0.09 * grasp.axis(2), grasp.quat)
        yield from robot.together(arm.grip(0.8), arm.go(back))
        yield from arm.go(grasp, speed=0.5)
        yield from arm.grip(0.0, steps=14)
        for angle in np.linspace(0, 0.75 * _LIMIT_RAD, 16)[1:]:
            yield from arm.go(_tool(microwave, float(angle))[turn], speed=0.8)
        yield from robot.wait(5)
        yield from arm.grip(1.0)
        away = Pose(arm.pose.pos - 0.09 * arm.pose.axis(2), arm.pose.quat)
        yield from arm.go(away)


def _add_shell(microwave: Element) -> None:
    wide, deep, high = _HALF_M
    white, dark = (0.84, 0.85, 0.86, 1), (0.15, 0.16, 0.18, 1)
    for z in (0.006, 2 * high - 0.006):
        add_box(microwave, (wide, deep, 0.006), white, pos=(0, 0, z))
    for x in (-wide + 0.006, wide - 0.006):
        add_box(microwave, (0.006, deep, high - 0.012), white, pos=(x, 0, high))
    add_box(microwave, (wide - 0.012, 0.006, high - 0.012), dark, pos=(0, deep - 0.006, high))
    panel = wide - _DOOR_M / 2
    side = (panel - 0.001, 0.008, high)
    add_box(microwave, side, dark, pos=(wide - panel + 0.001, -deep - 0.009, high))
    for index in range(3):
        pos = (wide - panel, -deep - 0.018, high * (0.6 + 0.4 * index))
        knob = {"type": "box", "size": (0.012, 0.002, 0.008), "pos": pos}
        add(microwave, "geom", rgba=(0.75, 0.76, 0.78, 1), **knob, **visual())


def _add_door(microwave: Element) -> None:
    wide, deep, high = _HALF_M
    door = add(microwave, "body", name="microwave_door", pos=(-wide, -deep - 0.009, high))
    add(
        door,
        "joint",
        name="microwave_door",
        type="hinge",
        axis=(0, 0, -1),
        range=(0, _LIMIT_RAD),
        damping=0.3,
        frictionloss=0.1,
        armature=0.005,
        solreflimit=(0.01, 1),
    )
    half = (_DOOR_M / 2 - 0.002, 0.008, high)
    add_box(door, half, (0.80, 0.81, 0.82, 1), pos=(_DOOR_M / 2, 0, 0), mass=0.4)
    window = {"type": "box", "size": (_DOOR_M / 2 - 0.04, 0.001, high - 0.03)}
    pos = (_DOOR_M / 2 - 0.012, -0.009, 0)
    add(door, "geom", rgba=(0.10, 0.11, 0.13, 1), pos=pos, **window, **visual())
    steel = (0.55, 0.57, 0.60, 1)
    x, z = _DOOR_M - 0.020, _HANDLE_HEIGHT_M - high
    for sign in (-1, 1):
        foot = (0.006, (_HANDLE_OUT_M - 0.008) / 2, 0.006)
        middle = (x, -(_HANDLE_OUT_M + 0.008) / 2, z + sign * 0.050)
        add_box(door, foot, steel, pos=middle, mass=0.01)
    bar = {"type": "cylinder", "size": (0.008, 0.056), "pos": (x, -_HANDLE_OUT_M, z)}
    add(door, "geom", rgba=steel, mass=0.03, **bar, **OBJECT_CONTACT)


def _handle(microwave: Pose, angle_rad: float) -> Array:
    wide, deep, _ = _HALF_M
    door = Pose.of((-wide, -deep - 0.009, 0.0), yaw_quat(-angle_rad))
    return (microwave @ door).apply((_DOOR_M - 0.020, -_HANDLE_OUT_M, _HANDLE_HEIGHT_M))


def _tool(microwave: Pose, angle_rad: float) -> list[Pose]:
    """The two level grasps of the handle, the door being open by an angle."""
    turn = _OBLIQUE_RAD + _FOLLOW * angle_rad
    approach = microwave.matrix() @ np.array([np.sin(turn), np.cos(turn), 0.0])
    return level(_handle(microwave, angle_rad), approach)


TASK = OpenMicrowave()
