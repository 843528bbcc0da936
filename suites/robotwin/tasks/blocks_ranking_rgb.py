"""Lay the blocks in a row in front of the robot: red left, green in the middle, blue right."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import TakingTurns
from ..mjcf import Mjcf
from ..pose import Pose
from ..scene.objects import add_box, free_body
from ..scene.view import Scene
from .base import Layout, TabletopTask
from .cubes import grasps, in_a_row, left_alone, quarter_turns, scatter

_HALF_M = 0.022
_BLOCKS = {
    "red_block": (0.82, 0.10, 0.10, 1.0),
    "green_block": (0.10, 0.62, 0.16, 1.0),
    "blue_block": (0.10, 0.24, 0.78, 1.0),
}
_PLACES_M = {"red_block": -0.085, "green_block": 0.0, "blue_block": 0.085}
"""Where each goes along x."""
_ROW_M = -0.19


class BlocksRankingRgb(TabletopTask):
    """As in RoboTwin 2.0: each block is moved by the arm on its side."""

    name = "blocks_ranking_rgb"
    version = "1"
    budget_steps = 1200
    instructions = (
        "Arrange the blocks in a row: red, green, blue from left to right.",
        "Put the red block left, the green block in the middle and the blue block right.",
        "Line the three cubes up as red, green, blue.",
        "Order the blocks by colour, red first, then green, then blue.",
        "Sort the blocks into the sequence red, green, blue.",
        "Place the three blocks side by side with red on the left and blue on the right.",
        "Make a row of blocks whose colours read red, green, blue.",
        "Set the green block between the red one on the left and the blue one on the right.",
        "Move the blocks to the front and order them red, green, blue.",
        "Rank the blocks as RGB from left to right.",
        "Lay the cubes next to each other: red, then green, then blue.",
        "Use both arms to line up the blocks in the order red, green, blue.",
        "Bring the red, green and blue blocks into one row, in that order.",
        "Form a line with the red cube leftmost and the blue cube rightmost.",
        "Put the blocks in RGB order in front of the robot.",
        "Starting from the left, place red, green and blue.",
        "Arrange red, green and blue cubes in a straight line.",
        "Pick up each block and place it so that the row is red, green, blue.",
        "The row should go from red over green to blue.",
        "Collect the blocks in a row: red to the left of green, green to the left of blue.",
    )
    unseen_instructions = (
        "Sort the cubes the way a display names its colours.",
        "Left to right, I want to see red, green, blue.",
        "Queue the cubes up with red at the left end and blue at the right.",
        "Green belongs in the centre, red to its left, blue to its right.",
        "Get the coloured cubes into line, beginning with red.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """Three cubes of 4.4 cm."""
        for name, rgba in _BLOCKS.items():
            add_box(free_body(model, name), (_HALF_M,) * 3, rgba, mass=0.04)

    def sample(self, rng: np.random.Generator) -> Layout:
        """All within x 28 cm, y -8 to 5 cm, clear of each other, and not yet in a row."""
        while True:
            layout = scatter(rng, dict.fromkeys(_BLOCKS, _HALF_M), clear_m=0.1)
            if not in_a_row([layout[name].pos for name in _BLOCKS]):
                return layout

    def success(self, scene: Scene) -> bool:
        """Red, green and blue rest on the table in a row; both grippers are open."""
        places = [scene.pose(name).pos for name in _BLOCKS]
        return bool(
            in_a_row(places)
            and all(abs(pos[2] - _HALF_M) < 0.005 for pos in places)
            and left_alone(scene, list(_BLOCKS))
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Each to its place, let go with the fingers before and behind it."""
        turns = TakingTurns(robot, scene)
        for name, x in _PLACES_M.items():
            goals = quarter_turns(np.array([x, _ROW_M, _HALF_M]))
            yield from turns.carry(name, grasps(scene.pose(name)), goals, _across_the_row)
        yield from turns.finish()


def _across_the_row(tool: Pose) -> bool:
    return bool(abs(tool.axis(1)[1]) > 0.7)


TASK = BlocksRankingRgb()
