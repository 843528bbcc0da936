"""What a task file provides."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..mjcf import Mjcf
from ..pose import Pose
from ..scene.view import Scene

Layout = dict[str, Pose]
"""Initial poses of the task's bodies, in the table frame."""


Rectangle = tuple[float, float, float, float]
"""Part of the table: least x and y, largest x and y, in m."""


class TabletopTask(ABC):
    """One task: objects, initial states, wordings, success test and expert.

    Class attributes:
        name: RoboTwin 2.0's name; also the module's.
        version: raised whenever behaviour changes: objects, sampling, success or expert.
        budget_steps: control steps after which an unsolved episode is a failure.
        instructions: wordings of the `seen` split.
        unseen_instructions: wordings of the `unseen` split.
        reserved: where no clutter may stand, besides about the task's own bodies.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    budget_steps: ClassVar[int]
    instructions: ClassVar[tuple[str, ...]]
    unseen_instructions: ClassVar[tuple[str, ...]]
    reserved: ClassVar[tuple[Rectangle, ...]] = ((-0.22, -0.30, 0.22, 0.0),)

    @abstractmethod
    def add_objects(self, model: Mjcf) -> None:
        """Write the task's bodies into the model."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Layout:
        """Draw an initial state, at rest; depends on `rng` alone."""

    @abstractmethod
    def success(self, scene: Scene) -> bool:
        """Whether the task is solved now."""

    @abstractmethod
    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """The expert: moves the robot's targets on by one control step each time it yields."""
