"""Put the red block in front of the robot, the green one on it, and the blue one on top."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import TakingTurns
from ..mjcf import Mjcf
from ..pose import up
from ..scene.objects import add_box, free_body
from ..scene.view import Scene
from .base import Layout, TabletopTask
from .cubes import grasps, left_alone, quarter_turns, scatter

_HALF_M = 0.025
_TARGET_M = (0.0, -0.13, _HALF_M)
_BLOCKS = {
    "red_block": (0.82, 0.10, 0.10, 1.0),
    "green_block": (0.10, 0.62, 0.16, 1.0),
    "blue_block": (0.10, 0.24, 0.78, 1.0),
}


class StackBlocksThree(TabletopTask):
    """As in RoboTwin 2.0: each block is moved by the arm on its side."""

    name = "stack_blocks_three"
    version = "1"
    budget_steps = 1200
    instructions = (
        "Stack the three blocks: red at the bottom, green in the middle, blue on top.",
        "Build a tower of three blocks, from below red, green and blue.",
        "Put the green block on the red one and the blue block on the green one.",
        "Place red first, then green on it, then blue on top.",
        "Make a stack with the blue block uppermost and the red one lowest.",
        "Move all three blocks to the centre and stack them red, green, blue.",
        "Pile up the cubes in the order red, green, blue.",
        "Set the red cube in the middle, cover it with green, and finish with blue.",
        "Use both arms to stack the three blocks.",
        "Assemble a tower out of the red, the green and the blue block.",
        "Bring the red block to the front centre and stack the other two on it.",
        "Stack blue on green on red.",
        "Lift each block with the nearer arm and stack them, red first.",
        "The red block carries the green one, which carries the blue one.",
        "Create a three-storey tower of cubes with a red base.",
        "Arrange the three cubes as a column, blue at the top.",
        "First centre the red block, next add the green block, last the blue block.",
        "Put the blocks on top of each other in the order red, green, blue.",
        "Place the blue cube on the green cube after placing green on red.",
        "Gather the blocks and stack all three of them in the middle.",
    )
    unseen_instructions = (
        "Raise a column of three colours: red below, blue above, green between.",
        "End with the blue cube sitting two storeys above the table.",
        "Turn the loose cubes into one tower on a red base.",
        "Let green rest on red and blue on green.",
        "Crown the pair of red and green cubes with the blue one.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """Three cubes of 5 cm."""
        for name, rgba in _BLOCKS.items():
            add_box(free_body(model, name), (_HALF_M,) * 3, rgba, mass=0.05)

    def sample(self, rng: np.random.Generator) -> Layout:
        """All within x 28 cm, y -8 to 5 cm, clear of the target, of x = 0 and of each other."""
        return scatter(rng, dict.fromkeys(_BLOCKS, _HALF_M), clear_m=0.15)

    def success(self, scene: Scene) -> bool:
        """Each block rests centred on the one before, red on the table; both grippers are open."""
        places = [scene.pose(name).pos for name in _BLOCKS]
        gaps = np.diff(np.stack(places), axis=0) - up(2 * _HALF_M)
        return bool(
            np.all(np.abs(gaps) < (0.025, 0.025, 0.012))
            and abs(places[0][2] - _HALF_M) < 0.012
            and left_alone(scene, list(_BLOCKS))
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Red to the target, green onto red, blue onto green."""
        turns = TakingTurns(robot, scene)
        target = np.array(_TARGET_M)
        for name in _BLOCKS:
            yield from turns.carry(name, grasps(scene.pose(name)), quarter_turns(target))
            target = scene.pose(name).pos + up(2 * _HALF_M)
        yield from turns.finish()


TASK = StackBlocksThree()
