"""Environments and held targets for the suite's tests."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from sfbench_suites.robotwin.config import ActionSpace, RobotwinConfig
from sfbench_suites.robotwin.env import RobotwinEnv
from sfbench_suites.robotwin.robot.panda import Side
from sfbench_suites.robotwin.states import Setting, offered
from sfbench_suites.robotwin.suite import make_clean

from sfbench.contracts import Split

TASKS = list(offered(Setting.CLEAN))
FEW = {
    "click_bell",
    "handover_mic",
    "open_microwave",
    "place_dual_shoes",
    "stack_blocks_two",
    "stack_bowls_two",
}
"""One task of each kind; `make test-robotwin-full` takes them all where a test takes long."""
SAMPLED = [
    pytest.param(task, marks=() if task in FEW else pytest.mark.slow, id=task) for task in TASKS
]
SPACES = list(ActionSpace)

MakeEnv = Callable[..., RobotwinEnv]


@pytest.fixture
def make_env() -> Iterator[MakeEnv]:
    """Makes Envs of the clean setting, closed after the test."""
    made: list[RobotwinEnv] = []

    def make(
        task: str, space: ActionSpace = ActionSpace.QPOS, split: Split = Split.TRAIN
    ) -> RobotwinEnv:
        env = make_clean(RobotwinConfig(action_space=space)).make_env(task, split)
        assert isinstance(env, RobotwinEnv)
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()


def hold(env: RobotwinEnv) -> np.ndarray:
    """The `qpos` action that leaves every target where it is."""
    scene = env.scene
    return np.concatenate([[*scene.arm_target(side), scene.grip_target(side)] for side in Side])


def free_bodies(env: RobotwinEnv) -> list[str]:
    """The task's bodies that can move."""
    model = env.model
    joints = [model.joint(index).name for index in range(model.njnt)]
    return [name.removesuffix("_free") for name in joints if name.endswith("_free")]


def deepest_penetration_m(env: RobotwinEnv) -> float:
    """How far the deepest of all present contacts goes."""
    env.scene.refresh()
    return -min((float(contact.dist) for contact in env.data.contact[: env.data.ncon]), default=0.0)
