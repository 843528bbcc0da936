"""The suite: tasks, Envs, state ids and the protocol card."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version as package_version

import mujoco

from sfbench.contracts import Env, EnvSpec, Json, Split, Task, stable_hash
from sfbench.errors import MissingError, UnknownNameError, UsageError
from sfbench.sim.gl import MAX_HEIGHT, MAX_WIDTH

from .config import RobotwinConfig
from .control import make_control
from .env import RobotwinEnv
from .mjcf import Mjcf
from .plugin import CLEAN
from .robot import panda_files
from .scene.room import CONTROL_HZ, SUBSTEPS, TIMESTEP_S, build_room
from .spec import env_spec
from .states import layouts_hash, state_list, verified
from .tasks import all_tasks
from .tasks.base import TabletopTask

MUJOCO_VERSION = "3.2.3"


class RobotwinSuite:
    """Implements `sfbench.contracts.Suite`."""

    name = CLEAN.name
    version = CLEAN.version

    def __init__(self, config: RobotwinConfig) -> None:
        _check_sizes(config)
        self._config = config
        self.env_spec: EnvSpec = env_spec(config)
        self.tasks: Mapping[str, Task] = {
            name: _described(task) for name, task in all_tasks().items()
        }

    def make_env(self, task: str, split: Split) -> Env:
        """A new Env; scenes are compiled once a process."""
        found = self._task(task)
        return RobotwinEnv(
            compiled_model(task, self._config),
            found,
            self.env_spec,
            make_control(self._config.action_space),
            state_list(found, split),
        )

    def state_id(self, task: str, split: Split, init_state: int) -> str:
        """`robotwin/<task>/<task version>/<candidate seed>`."""
        found = self._task(task)
        candidate = state_list(found, split).candidate(init_state)
        return f"robotwin/{task}/{found.version}/{candidate}"

    def card(self) -> Mapping[str, Json]:
        """Everything of the suite that can move a score."""
        return {
            "suite": self.name,
            "suite_version": self.version,
            "action_space": str(self._config.action_space),
            "control_hz": CONTROL_HZ,
            "timestep_s": TIMESTEP_S,
            "substeps": SUBSTEPS,
            "settle_steps": 0,
            "seed_rule": "candidate seed -> initial state; the episode's seed draws nothing",
            "cameras": {
                camera.name: [camera.width, camera.height] for camera in self.env_spec.cameras
            },
            "mujoco": str(mujoco.__version__),
            "robosuite": package_version("robosuite"),
            "robot_files": panda_files.source_hash(),
            "tasks": {name: self._task_card(task) for name, task in all_tasks().items()},
        }

    def preflight(self) -> None:
        """Check versions, the robot's files and the stored initial states."""
        if mujoco.__version__ != MUJOCO_VERSION:
            raise MissingError(
                f"MuJoCo {mujoco.__version__} is installed; the eval states were verified with "
                f"{MUJOCO_VERSION}: type `pip install mujoco=={MUJOCO_VERSION}`"
            )
        for task in all_tasks().values():
            stored = verified(task)
            if stored.layouts_hash != layouts_hash(task, stored.accepted):
                raise MissingError(
                    f"the initial states of '{task.name}' are not those that were verified "
                    f"(another numpy, or an edited task); raise its version and type "
                    f"`python -m sfbench_suites.robotwin.verify --task {task.name}`"
                )

    def _task(self, name: str) -> TabletopTask:
        tasks = all_tasks()
        if name not in tasks:
            raise UnknownNameError("task", name, tasks)
        return tasks[name]

    def _task_card(self, task: TabletopTask) -> Json:
        stored = verified(task)
        return {
            "version": task.version,
            "budget_steps": task.budget_steps,
            "eval_states": stable_hash([list(stored.accepted), stored.layouts_hash]),
            "model": build_model(task.name, _sizes(self._config)).digest(),
        }


def make_clean(config: RobotwinConfig) -> RobotwinSuite:
    """The factory of `robotwin_clean`."""
    return RobotwinSuite(config)


_Sizes = tuple[int, int, int, int]


def build_model(task: str, sizes: _Sizes) -> Mjcf:
    """The scene of a task, not yet compiled."""
    width, height, video_width, video_height = sizes
    config = RobotwinConfig(
        camera_width=width,
        camera_height=height,
        video_width=video_width,
        video_height=video_height,
    )
    model = build_room(config, task)
    all_tasks()[task].add_objects(model)
    return model


def compiled_model(task: str, config: RobotwinConfig) -> mujoco.MjModel:
    """The task's scene; compiled once a process and shared, so nobody may change it."""
    return _compiled(task, _sizes(config))


@cache
def _compiled(task: str, sizes: _Sizes) -> mujoco.MjModel:
    return build_model(task, sizes).compile()


def _sizes(config: RobotwinConfig) -> _Sizes:
    return config.camera_width, config.camera_height, config.video_width, config.video_height


def _described(task: TabletopTask) -> Task:
    counts = {split: len(state_list(task, split)) for split in Split}
    return Task(
        name=task.name,
        version=task.version,
        budget_steps=task.budget_steps,
        instructions=task.instructions,
        unseen_instructions=task.unseen_instructions,
        init_states=counts,
    )


def _check_sizes(config: RobotwinConfig) -> None:
    for name, limit in (
        ("camera_width", MAX_WIDTH),
        ("camera_height", MAX_HEIGHT),
        ("video_width", MAX_WIDTH),
        ("video_height", MAX_HEIGHT),
    ):
        value = getattr(config, name)
        if not 8 <= value <= limit:
            raise UsageError(f"suite.{name}: got {value}, allowed 8 to {limit}")
