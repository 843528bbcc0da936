"""Stack the two bowls in front of the robot."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import TakingTurns
from ..mjcf import Mjcf
from ..pose import Pose, up, yaw_quat
from ..scene.vessels import Bowl
from ..scene.view import Scene
from .base import Layout, TabletopTask
from .cubes import left_alone

_BOWL = Bowl()
_TARGET_M = (0.0, -0.10, 0.0)
_COLOURS = {"front_bowl": (0.87, 0.88, 0.84, 1.0), "back_bowl": (0.35, 0.55, 0.62, 1.0)}


class StackBowlsTwo(TabletopTask):
    """As in RoboTwin 2.0: the bowl that stands nearer goes to the middle, the other into it."""

    name = "stack_bowls_two"
    version = "1"
    budget_steps = 900
    instructions = (
        "Stack the two bowls.",
        "Put one bowl into the other.",
        "Move both bowls to the middle and stack them.",
        "Place a bowl on top of the other bowl.",
        "Nest the two bowls.",
        "Bring the bowls together in one stack.",
        "Pick up one bowl and set it into the other.",
        "Use both arms to stack the bowls.",
        "Pile the bowls up in front of the robot.",
        "Set the first bowl in the middle and the second one in it.",
        "Make a stack of the two bowls.",
        "Grip the bowls by their rims and stack them.",
        "Take each bowl with the nearer arm and stack them.",
        "Put the bowls one inside the other.",
        "Tidy up the bowls by stacking them.",
        "Lift a bowl by its rim and lower it into the other bowl.",
        "Arrange the bowls as a stack in the centre.",
        "The two bowls should end up in one stack.",
        "First place one bowl centrally, then put the other one in it.",
        "Collect the bowls in a single stack.",
    )
    unseen_instructions = (
        "Let one bowl sit inside the other.",
        "Save space: nest the bowls.",
        "Bring the dishes together so that one holds the other.",
        "Put the crockery into one pile.",
        "Slot the second bowl into the first.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """Two equal bowls that nest."""
        for name, rgba in _COLOURS.items():
            _BOWL.add(model, name, rgba)

    def sample(self, rng: np.random.Generator) -> Layout:
        """Within x 30 cm, y -15 to 10 cm, 9 cm off x = 0, clear of the target and each other."""
        places: list[np.ndarray] = []
        while len(places) < 2:
            pos = np.array([rng.uniform(-0.30, 0.30), rng.uniform(-0.15, 0.10), 0.0])
            clear = np.hypot(pos[0], pos[1] + 0.1) > 0.17
            apart = all(np.hypot(*(pos - other)[:2]) > 0.17 for other in places)
            if abs(pos[0]) > 0.09 and clear and apart:
                places.append(pos)
        front, back = sorted(places, key=lambda pos: float(pos[1]))
        turns = rng.uniform(-np.pi, np.pi, 2)
        return {
            "front_bowl": Pose.of(front, yaw_quat(turns[0])),
            "back_bowl": Pose.of(back, yaw_quat(turns[1])),
        }

    def success(self, scene: Scene) -> bool:
        """One bowl stands level in the other, which stands on the table; grippers are open."""
        bowls = [scene.pose(name) for name in _COLOURS]
        low, high = sorted(bowls, key=lambda bowl: float(bowl.pos[2]))
        gap = high.pos - low.pos
        return bool(
            np.hypot(*gap[:2]) < 0.02
            and abs(gap[2] - _BOWL.floor_m) < 0.012
            and abs(low.pos[2]) < 0.01
            and all(bowl.axis(2)[2] > 0.95 for bowl in bowls)
            and left_alone(scene, list(_COLOURS))
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Each is held at its rim; the second is let go over the first one's floor."""
        turns = TakingTurns(robot, scene)
        target = np.array(_TARGET_M)
        for name in _COLOURS:
            goals = [Pose.of(target, yaw_quat(turn)) for turn in np.arange(12) * np.pi / 6]
            yield from turns.carry(name, _BOWL.grasps(scene.pose(name)), goals)
            target = scene.pose(name).pos + up(_BOWL.floor_m)
        yield from turns.finish()


TASK = StackBowlsTwo()
