"""Put the bowl on the plate."""

import numpy as np

from ..expert.bimanual import Bimanual, Script
from ..expert.carrying import TakingTurns
from ..mjcf import Mjcf
from ..pose import Pose, up, yaw_quat
from ..scene.vessels import PLATE_HEIGHT_M, Bowl, add_plate
from ..scene.view import Scene
from .base import Layout, TabletopTask
from .cubes import left_alone

_BOWL = Bowl()


class PlaceContainerPlate(TabletopTask):
    """As in RoboTwin 2.0: the arm on the container's side moves it onto the plate."""

    name = "place_container_plate"
    version = "1"
    budget_steps = 400
    instructions = (
        "Put the bowl on the plate.",
        "Place the bowl onto the plate.",
        "Pick up the bowl and set it on the plate.",
        "Move the bowl to the plate.",
        "Set the yellow bowl down on the white plate.",
        "Grip the bowl by its rim and put it on the plate.",
        "Lift the bowl and lower it onto the plate.",
        "Use the nearer arm to place the bowl on the plate.",
        "Bring the bowl over to the plate and release it.",
        "Take the bowl to the plate.",
        "Stand the bowl on the plate.",
        "Transfer the container onto the plate.",
        "The container belongs on the plate; put it there.",
        "Carry the bowl to the plate and let go.",
        "Pick the container up from the table and place it on the plate.",
        "Position the bowl in the middle of the plate.",
        "Rest the bowl on top of the plate.",
        "Relocate the bowl to the plate.",
        "Grab the container and set it gently on the plate.",
        "Leave the bowl standing on the plate.",
    )
    unseen_instructions = (
        "See that the container ends up on the plate.",
        "Serve the bowl on the plate.",
        "Get the bowl off the bare table and onto the dish.",
        "Deposit the yellow container on the flat white dish.",
        "The plate should carry the bowl.",
    )

    def add_objects(self, model: Mjcf) -> None:
        """A bowl, and a plate that is fixed to the table."""
        _BOWL.add(model, "bowl", (0.88, 0.68, 0.20, 1))
        add_plate(model, "plate", (0.94, 0.94, 0.92, 1))

    def sample(self, rng: np.random.Generator) -> Layout:
        """Bowl: 20 to 28 cm to one side, y -10 to 5 cm; plate: 2 to 8 cm on that side."""
        side = rng.choice([-1.0, 1.0])
        bowl = (side * rng.uniform(0.20, 0.28), rng.uniform(-0.10, 0.05), 0.0)
        plate = (side * rng.uniform(0.02, 0.08), rng.uniform(-0.15, -0.10), 0.0)
        turn = rng.uniform(-np.pi, np.pi)
        return {"bowl": Pose.of(bowl, yaw_quat(turn)), "plate": Pose.of(plate)}

    def success(self, scene: Scene) -> bool:
        """The bowl stands on the plate, at rest, and both grippers are open."""
        bowl = scene.pose("bowl")
        offset = bowl.pos - scene.pose("plate").pos
        return bool(
            np.hypot(*offset[:2]) < 0.05
            and abs(offset[2] - PLATE_HEIGHT_M) < 0.008
            and bowl.axis(2)[2] > 0.95
            and left_alone(scene, ["bowl"])
        )

    def script(self, robot: Bimanual, scene: Scene) -> Script:
        """Hold the rim, carry the bowl over, set it down, let go."""
        turns = TakingTurns(robot, scene)
        target = scene.pose("plate").pos + up(PLATE_HEIGHT_M)
        goals = [Pose.of(target, yaw_quat(turn)) for turn in np.arange(12) * np.pi / 6]
        yield from turns.carry("bowl", _BOWL.grasps(scene.pose("bowl")), goals)
        yield from turns.finish()


TASK = PlaceContainerPlate()
