"""Motion primitives for two arms: scripts are generators that yield once a control step."""

from collections.abc import Iterator

from ..pose import Pose
from ..robot.panda import Side
from ..scene.view import Scene
from .arm import ArmDriver, seconds_of

Script = Iterator[None]
"""Each `next` advances the arms' targets by one control step."""


class Bimanual:
    """Both arms' targets, and the primitives that move them."""

    def __init__(self, scene: Scene) -> None:
        self._arms = {side: ArmDriver(side, scene) for side in Side}

    def __getitem__(self, side: Side) -> ArmDriver:
        return self._arms[side]

    def together(self, *scripts: Script) -> Script:
        """Run several scripts at once, until the last has ended."""
        running = list(scripts)
        while running:
            running = [script for script in running if _advance(script)]
            if running:
                yield

    def go_together(self, goals: dict[Side, Pose], speed: float = 1.0) -> Script:
        """Move both tools on straight lines that start and end at the same time."""
        seconds = max(seconds_of(self[side].plan(goal, speed)) for side, goal in goals.items())
        return self.together(
            *(
                self[side].follow(self[side].plan(goal, speed, at_least_s=seconds))
                for side, goal in goals.items()
            )
        )

    def wait(self, steps: int) -> Script:
        """Hold the targets."""
        for _ in range(steps):
            yield


def _advance(script: Script) -> bool:
    try:
        next(script)
    except StopIteration:
        return False
    return True
