"""Lay the blocks in a row in front of the robot: the largest left, the smallest right."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import TakingTurns
from ..mjcf import Mjcf
from ..pose import Pose
from ..scene.objects import add_box, free_body
from ..scene.view import Scene
from .base import Layout, TabletopTask
from .cubes import grasps, in_a_row, left_alone, quarter_turns, scatter

_HALVES_M = {"large_block": 0.031, "medium_block": 0.025, "small_block": 0.019}
_COLOURS = {
    "large_block": (0.85, 0.50, 0.12, 1.0),
    "medium_block": (0.46, 0.20, 0.62, 1.0),
    "small_block": (0.10, 0.58, 0.60, 1.0),
}
_PLACES_M = {"large_block": -0.10, "medium_block": 0.0, "small_block": 0.09}
"""Where each goes along x."""
_ROW_M = -0.19


class BlocksRankingSize(TabletopTask):
    """As in RoboTwin 2.0: each block is moved by the arm on its side."""

    name = "blocks_ranking_size"
    version = "1"
    budget_steps = 1200
    instructions = (
        "Arrange the blocks by size, the largest on the left.",
        "Line the three cubes up from large to small, left to right.",
        "Put the biggest block left, the middle one in the centre and the smallest right.",
        "Sort the blocks by size in a row.",
        "Order the cubes from the largest to the smallest.",
        "Place the blocks side by side so that they get smaller to the right.",
        "Make a row: large block, medium block, small block.",
        "Rank the three blocks by their size, starting with the largest on the left.",
        "Set the medium block between the large one on the left and the small one on the right.",
        "Move the blocks to the front and sort them by size.",
        "Lay the cubes next to each other in order of decreasing size.",
        "Use both arms to line up the blocks from big to small.",
        "Form a line with the largest cube leftmost and the smallest rightmost.",
        "Starting from the left, place the large, the medium and the small block.",
        "Bring the blocks into a row that shrinks towards the right.",
        "Pick up each block and place it by size, largest first.",
        "The row should go from the biggest block to the smallest.",
        "Collect the three blocks in a row, sorted by size.",
        "Put the orange, purple and turquoise blocks in order of size.",
        "Arrange the cubes in a straight line from large to small.",
    )
    unseen_instructions = (
        "Let the cubes shrink from left to right.",
        "The smallest cube goes to the right end of the line, the largest to the left.",
        "Sort these boxes as you would nesting dolls, big one first.",
        "Make a descending staircase of cubes towards the right.",
        "Queue the cubes up by size with the giant at the left end.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """Three cubes of 6.2, 5 and 3.8 cm."""
        for name, half in _HALVES_M.items():
            mass = 0.05 * (half / 0.025) ** 3
            add_box(free_body(model, name), (half,) * 3, _COLOURS[name], mass=mass)

    def sample(self, rng: np.random.Generator) -> Layout:
        """All within x 28 cm, y -8 to 5 cm, clear of each other, and not yet in a row."""
        while True:
            layout = scatter(rng, _HALVES_M, clear_m=0.1)
            if not in_a_row([layout[name].pos for name in _HALVES_M]):
                return layout

    def success(self, scene: Scene) -> bool:
        """The blocks rest on the table in a row, ever smaller; both grippers are open."""
        places = {name: scene.pose(name).pos for name in _HALVES_M}
        return bool(
            in_a_row(list(places.values()))
            and all(abs(pos[2] - _HALVES_M[name]) < 0.005 for name, pos in places.items())
            and left_alone(scene, list(_HALVES_M))
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Each to its place, let go with the fingers before and behind it."""
        turns = TakingTurns(robot, scene)
        for name, x in _PLACES_M.items():
            goals = quarter_turns(np.array([x, _ROW_M, _HALVES_M[name]]))
            yield from turns.carry(name, grasps(scene.pose(name)), goals, _across_the_row)
        yield from turns.finish()


def _across_the_row(tool: Pose) -> bool:
    return bool(abs(tool.axis(1)[1]) > 0.7)


TASK = BlocksRankingSize()
