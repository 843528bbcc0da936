"""Open the cabinet's drawer with one arm, and put the object into it with the other."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import held, side_of
from ..expert.grasps import downward, downward_options
from ..mjcf import Element, Mjcf, add, visual
from ..pose import Pose, yaw_quat
from ..robot.panda import Side
from ..scene.objects import add_box, fixed_body, free_body
from ..scene.view import Scene
from .base import Layout, TabletopTask

_HALF_M = (0.13, 0.10, 0.075)
"""Half of the cabinet's width, depth and height; its drawer opens towards -y."""
_DRAWER_M = (0.115, 0.092, 0.028)
"""Half of the drawer's width, depth and wall height."""
_DRAWER_FLOOR_M = 0.075
"""Height of the drawer's floor above the table."""
_HANDLE_OUT_M, _HANDLE_HEIGHT_M = 0.042, 0.115
_TRAVEL_M = 0.15
_PULL_M = 0.14
_OBJECT_M = (0.022, 0.030, 0.022)
_GRIPPED = 0.3
"""How far the gripper opens before it reaches around the handle."""
_OPEN = 0.8


class PutObjectCabinet(TabletopTask):
    """As in RoboTwin 2.0: one arm takes the object, the other the drawer."""

    name = "put_object_cabinet"
    version = "1"
    budget_steps = 700
    reserved = ((-0.22, -0.30, 0.22, 0.10),)
    instructions = (
        "Put the object into the cabinet's drawer.",
        "Open the drawer and put the yellow box into it.",
        "Pull the drawer open and place the box inside.",
        "Place the yellow box in the drawer of the cabinet.",
        "Use one arm to open the drawer and the other to put the box in.",
        "Open the cabinet and store the box in it.",
        "Pick up the box, open the drawer, and drop the box into it.",
        "Stow the yellow box in the cabinet.",
        "Pull out the drawer with one arm and place the object with the other.",
        "Put the small box away in the drawer.",
        "Take the box and lay it into the open drawer.",
        "The box belongs in the drawer; put it there.",
        "Grab the drawer's handle, pull, and put the box inside.",
        "Move the yellow box from the table into the drawer.",
        "Open the drawer wide enough and set the box in it.",
        "Get the box into the cabinet's drawer with both arms.",
        "Lift the box and put it in the drawer that the other arm opens.",
        "Store the object from the table in the cabinet.",
        "Draw the drawer out and lower the box into it.",
        "Tidy the yellow box away into the cabinet.",
    )
    unseen_instructions = (
        "Clear the table: the box goes into the drawer.",
        "Let the cabinet swallow the yellow box.",
        "One hand on the drawer, the other puts the thing in.",
        "File the small packet away in the cabinet.",
        "Make the yellow block disappear into the wooden cabinet.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A cabinet with a drawer, fixed to the table, and a small box."""
        cabinet = fixed_body(model, "cabinet")
        _add_shell(cabinet)
        _add_drawer(cabinet)
        add_box(free_body(model, "object"), _OBJECT_M, (0.90, 0.72, 0.12, 1), mass=0.06)

    def sample(self, rng: np.random.Generator) -> Layout:
        """Cabinet x within 5 cm, y 19 cm; object 20 to 30 cm aside, y -20 to -10 cm, 60 degrees."""
        side = rng.choice([-1.0, 1.0])
        pos = (side * rng.uniform(0.20, 0.30), rng.uniform(-0.20, -0.10), _OBJECT_M[2])
        cabinet = Pose.of((rng.uniform(-0.05, 0.05), 0.19, 0.0))
        turn = rng.uniform(-np.pi / 3, np.pi / 3)
        return {"cabinet": cabinet, "object": Pose.of(pos, yaw_quat(turn))}

    def success(self, scene: Scene) -> bool:
        """The object rests on the drawer's floor, within its walls, and nobody holds it."""
        inside = scene.pose("drawer").inverse() @ scene.pose("object")
        wide, deep, _ = _DRAWER_M
        return bool(
            abs(inside.pos[0]) < wide
            and abs(inside.pos[1]) < deep
            and 0.0 < inside.pos[2] < 0.05
            and scene.contacts("drawer", "object")
            and scene.speed("object") < 0.02
            and not any(scene.touches(side, "object") for side in Side)
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Hold object and handle at once, pull while lifting, then put the object in."""
        side = side_of(scene.pose("object").pos)
        other = Side.LEFT if side is Side.RIGHT else Side.RIGHT
        yield from robot.together(
            self._take_object(robot, scene, side), self._take_handle(robot, scene, other)
        )
        pulled = robot[other].pose
        pulled = Pose(pulled.pos + np.array([0.0, -_PULL_M, 0.0]), pulled.quat)
        yield from robot.together(
            robot[other].go(pulled, speed=0.5), robot[side].go(robot[side].pose.raised(0.20))
        )
        yield from robot.wait(3)
        yield from self._drop(robot, scene, side)

    def _take_object(self, robot: Bimanual, scene: Scene, side: Side) -> Script:
        arm, box = robot[side], scene.pose("object")
        # The box is held across its narrow side.
        grasp = arm.nearest(downward_options(box.pos, box.yaw(), 2))
        yield from arm.go(grasp.raised(0.10))
        yield from arm.go(grasp, speed=0.6)
        yield from arm.grip(0.0, steps=12)

    def _take_handle(self, robot: Bimanual, scene: Scene, side: Side) -> Script:
        arm = robot[side]
        _, deep, _ = _HALF_M
        bar = scene.pose("cabinet").apply((0, -deep - _HANDLE_OUT_M, _HANDLE_HEIGHT_M))
        # Held from above, off the middle, so that the arm stays on its side.
        bar += (0.025 if side is Side.RIGHT else -0.025, 0.0, 0.0)
        grasp = arm.nearest([downward(bar, sign * np.pi / 2) for sign in (-1, 1)])
        yield from robot.together(arm.grip(_GRIPPED), arm.go(grasp.raised(0.08)))
        yield from arm.go(grasp, speed=0.6)
        yield from arm.grip(0.0, steps=12)

    def _drop(self, robot: Bimanual, scene: Scene, side: Side) -> Script:
        arm = robot[side]
        offset = held(scene, side, "object")
        drawer = scene.pose("drawer")
        sign = 1 if side is Side.RIGHT else -1
        goal = drawer.apply((sign * 0.050, 0.0, 0.004 + _OBJECT_M[2] + 0.012))
        turns = np.linspace(-np.pi, np.pi, 12, endpoint=False)
        options = [Pose.of(goal, yaw_quat(turn)) @ offset for turn in turns]
        # Fingers that open along the drawer's width stay clear of its front.
        place = arm.nearest([pose for pose in options if abs(pose.axis(1)[0]) > 0.8])
        yield from arm.go(place.raised(0.12))
        yield from arm.go(place, speed=0.5)
        yield from robot.wait(2)
        yield from arm.grip(_OPEN)
        yield from arm.go(place.raised(0.12))


def _add_shell(cabinet: Element) -> None:
    wide, deep, high = _HALF_M
    wood, dark = (0.45, 0.29, 0.18, 1), (0.36, 0.22, 0.13, 1)
    for z in (0.005, _DRAWER_FLOOR_M - 0.010, 2 * high - 0.005):
        add_box(cabinet, (wide, deep, 0.005), wood, pos=(0, 0, z))
    for x in (-wide + 0.005, wide - 0.005):
        add_box(cabinet, (0.005, deep, high - 0.010), dark, pos=(x, 0, high))
    add_box(cabinet, (wide - 0.010, 0.005, high - 0.010), dark, pos=(0, deep - 0.005, high))
    # A closed compartment below the drawer, which is only seen.
    front = {"type": "box", "size": (wide - 0.010, 0.003, 0.026), "pos": (0, -deep + 0.003, 0.036)}
    add(cabinet, "geom", rgba=dark, **front, **visual())


def _add_drawer(cabinet: Element) -> None:
    wide, deep, high = _DRAWER_M
    drawer = add(cabinet, "body", name="drawer", pos=(0, -0.004, _DRAWER_FLOOR_M))
    add(
        drawer,
        "joint",
        name="drawer",
        type="slide",
        axis=(0, -1, 0),
        range=(0, _TRAVEL_M),
        damping=4,
        frictionloss=0.5,
        solreflimit=(0.01, 1),
    )
    pale, dark = (0.72, 0.57, 0.40, 1), (0.36, 0.22, 0.13, 1)
    add_box(drawer, (wide, deep, 0.002), pale, pos=(0, 0, 0.002), mass=0.2)
    for x in (-wide + 0.003, wide - 0.003):
        add_box(drawer, (0.003, deep, high), pale, pos=(x, 0, high + 0.004), mass=0.05)
    add_box(drawer, (wide, 0.003, high), pale, pos=(0, deep - 0.003, high + 0.004), mass=0.05)
    front = (wide, 0.004, high + 0.002)
    add_box(drawer, front, dark, pos=(0, -deep - 0.004, high + 0.004), mass=0.1)
    steel = (0.62, 0.63, 0.66, 1)
    y, z = 0.004 - _HALF_M[1] - _HANDLE_OUT_M, _HANDLE_HEIGHT_M - _DRAWER_FLOOR_M
    for x in (-0.055, 0.055):
        length = -y - deep - 0.008
        pos = (x, y + length / 2, z)
        add_box(drawer, (0.005, length / 2, 0.005), steel, pos=pos, mass=0.01)
    add_box(drawer, (0.060, 0.006, 0.008), steel, pos=(0, y, z), mass=0.02)


TASK = PutObjectCabinet()
