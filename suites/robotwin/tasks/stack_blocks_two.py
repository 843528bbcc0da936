"""Put the red block in front of the robot, and the green block on the red one."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.grasps import downward_options
from ..mjcf import Mjcf
from ..pose import Pose, up, yaw_quat
from ..robot.panda import Side
from ..scene.objects import add_box, free_body
from ..scene.view import Scene
from .base import Layout, TabletopTask

_HALF_M = 0.025
_TARGET_M = (0.0, -0.13)
_BLOCKS = {"red_block": (0.82, 0.10, 0.10, 1.0), "green_block": (0.10, 0.62, 0.16, 1.0)}
_OPEN = 0.8


class StackBlocksTwo(TabletopTask):
    """As in RoboTwin 2.0: each block is moved by the arm on its side."""

    name = "stack_blocks_two"
    version = "1"
    budget_steps = 800
    instructions = (
        "Stack the green block on the red block.",
        "Put the red block in the middle, then the green block on top of it.",
        "Move both blocks to the centre and stack them, green over red.",
        "Place the green cube on the red cube.",
        "Build a tower of two blocks with the red one below.",
        "Bring the red block to the front centre and set the green one on it.",
        "First place the red block, then stack the green block on it.",
        "Make a stack: red at the bottom, green at the top.",
        "Lift the green block onto the red block.",
        "Set the red cube down in the middle and put the green cube on it.",
        "Pile the two blocks up with green on top.",
        "Use the arms to stack green on red.",
        "Pick up the red block, place it centrally, and cover it with the green block.",
        "Arrange the blocks as a tower, the green block uppermost.",
        "Take each block with the nearer arm and stack them, red first.",
        "Put one block on the other, with the red one underneath.",
        "Stack the two cubes in front of the robot, red then green.",
        "Move the red block first and then stack the green one above it.",
        "The green block goes on top of the red block.",
        "Create a two-block stack whose base is red.",
    )
    unseen_instructions = (
        "Get the green cube to rest on the red one.",
        "Assemble a little tower: a red base and a green top.",
        "Let the red block carry the green block.",
        "Centre the red cube, then crown it with the green cube.",
        "End with green sitting squarely over red.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """Two cubes of 5 cm."""
        for name, rgba in _BLOCKS.items():
            add_box(free_body(model, name), (_HALF_M,) * 3, rgba, mass=0.05)

    def sample(self, rng: np.random.Generator) -> Layout:
        """Both within x 28 cm, y -8 to 5 cm, clear of the target, of x = 0 and of each other."""
        layout: Layout = {}
        for name in _BLOCKS:
            while True:
                pos = np.array([rng.uniform(-0.28, 0.28), rng.uniform(-0.08, 0.05), _HALF_M])
                apart = all(np.hypot(*(pos - other.pos)[:2]) > 0.1 for other in layout.values())
                clear = np.hypot(pos[0], pos[1] + 0.1) > 0.15
                if abs(pos[0]) > 0.05 and clear and apart:
                    break
            layout[name] = Pose.of(pos, yaw_quat(rng.uniform(-0.75, 0.75)))
        return layout

    def success(self, scene: Scene) -> bool:
        """Green rests centred on red, which rests on the table; both grippers are open."""
        red, green = scene.pose("red_block"), scene.pose("green_block")
        gap = green.pos - red.pos - up(2 * _HALF_M)
        return bool(
            np.all(np.abs(gap) < (0.025, 0.025, 0.012))
            and abs(red.pos[2] - _HALF_M) < 0.012
            and all(scene.opening(side) > _OPEN for side in Side)
            and all(scene.speed(name) < 0.02 for name in _BLOCKS)
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Red to the target, green onto red; an arm that is done leaves while the other works."""
        leave: Script = iter(())
        previous: Side | None = None
        for level, name in enumerate(_BLOCKS):
            side = Side.RIGHT if scene.pose(name).pos[0] > 0 else Side.LEFT
            if previous not in (None, side):
                yield from robot.together(leave, self._fetch(robot, scene, side, name))
            else:
                yield from self._fetch(robot, scene, side, name)
            if level == 0:
                target = np.array([*_TARGET_M, _HALF_M])
            else:
                target = scene.pose("red_block").pos + up(2 * _HALF_M)
            yield from self._put(robot, scene, side, name, target)
            previous, leave = side, robot[side].go_home()
        yield from leave

    def _fetch(self, robot: Bimanual, scene: Scene, side: Side, name: str) -> Script:
        arm, block = robot[side], scene.pose(name)
        grasp = arm.nearest(downward_options(block.pos, block.yaw(), 4))
        yield from arm.go(grasp.raised(0.10))
        yield from arm.go(grasp, speed=0.6)
        yield from arm.grip(0.0)
        yield from arm.go(grasp.raised(0.12))

    def _put(
        self, robot: Bimanual, scene: Scene, side: Side, name: str, target: np.ndarray
    ) -> Script:
        arm = robot[side]
        yield from robot.wait(3)
        held = scene.pose(name).inverse() @ scene.tcp(side)
        options = [Pose.of(target, yaw_quat(turn)) @ held for turn in np.arange(4) * np.pi / 2]
        place = arm.nearest(options).raised(0.002)
        yield from arm.go(place.raised(0.10))
        yield from arm.go(place, speed=0.5)
        yield from robot.wait(3)
        yield from arm.grip(1.0)
        yield from arm.go(place.raised(0.10))


TASK = StackBlocksTwo()
