"""Initial states: three disjoint lists of candidate seeds a task.

A candidate seed fixes an initial state; it is the only randomness of the clean setting. `eval`
holds the first 100 consecutive candidates that the expert solves, stored under `init_states/`
by `python -m sfbench_suites.robotwin.verify`. `select` and `train` are plain ranges of candidates,
which nobody has verified.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import numpy as np

from sfbench.contracts import Split, stable_hash
from sfbench.errors import MissingError, UsageError

from .tasks import all_tasks
from .tasks.base import Layout, TabletopTask

FIRST_CANDIDATE = {Split.EVAL: 100_000, Split.SELECT: 200_000, Split.TRAIN: 1_000_000}
COUNT = {Split.EVAL: 100, Split.SELECT: 50, Split.TRAIN: 100_000}

FOLDER = Path(__file__).parent / "init_states"


class Setting(StrEnum):
    """Which list of verified states: without randomisation, or with all of it."""

    CLEAN = "clean"
    RANDOMIZED = "randomized"

    @property
    def folder(self) -> Path:
        """Where the setting's lists lie."""
        return FOLDER if self is Setting.CLEAN else FOLDER / self.value


@dataclass(frozen=True, slots=True)
class StateList:
    """The candidate seeds of one task and split, in order."""

    task: str
    split: Split
    candidates: tuple[int, ...] | range

    def __len__(self) -> int:
        return len(self.candidates)

    def candidate(self, init_state: int) -> int:
        """The candidate seed of an initial state.

        Raises:
            UsageError: no such initial state.
        """
        if not 0 <= init_state < len(self.candidates):
            raise UsageError(
                f"task '{self.task}' has initial states 0 to {len(self) - 1} in split "
                f"'{self.split}'; got {init_state}"
            )
        return self.candidates[init_state]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedList:
    """A stored `eval` list: which candidates the expert solved, and which it did not."""

    task: str
    task_version: str
    mujoco: str
    tried: int
    accepted: tuple[int, ...]
    rejected: Mapping[str, str]
    """Candidate seed to why it was rejected."""
    layouts_hash: str
    """Hash of the accepted initial states, to notice should sampling ever change."""

    def save(self, setting: Setting) -> Path:
        """Write it to the suite's folder."""
        path = setting.folder / f"{self.task}.json"
        data = asdict(self)
        path.write_text(json.dumps(data, indent=1) + "\n")
        return path


def offered(setting: Setting) -> Mapping[str, TabletopTask]:
    """The tasks of a setting, by name: those whose `eval` states were verified in it."""
    return {
        name: task
        for name, task in all_tasks().items()
        if (setting.folder / f"{name}.json").is_file()
    }


@cache
def verified(task: TabletopTask, setting: Setting = Setting.CLEAN) -> VerifiedList:
    """The stored `eval` list of a task.

    Raises:
        MissingError: there is none, or it belongs to another version of the task.
    """
    path = setting.folder / f"{task.name}.json"
    mend = f"type `python -m sfbench_suites.robotwin.verify --setting {setting} --task {task.name}`"
    if not path.is_file():
        raise MissingError(f"task '{task.name}' has no list of eval states; {mend}")
    data = json.loads(path.read_text())
    found = VerifiedList(**{**data, "accepted": tuple(data["accepted"])})
    if found.task_version != task.version:
        raise MissingError(
            f"the eval states of '{task.name}' belong to version {found.task_version} of the task, "
            f"which is now {task.version}; {mend}"
        )
    return found


def state_list(task: TabletopTask, split: Split, setting: Setting = Setting.CLEAN) -> StateList:
    """The initial states of a task's split."""
    if split is Split.EVAL:
        return StateList(task.name, split, verified(task, setting).accepted)
    first = FIRST_CANDIDATE[split]
    return StateList(task.name, split, range(first, first + COUNT[split]))


def state_rng(task: str, candidate: int) -> np.random.Generator:
    """The random stream of one candidate: a pure function of task name and seed."""
    return np.random.Generator(np.random.PCG64([candidate, *task.encode()]))


def layouts_hash(task: TabletopTask, candidates: tuple[int, ...]) -> str:
    """Hash of the initial states that candidates stand for, rounded to a nanometre."""
    return stable_hash([_rounded(task.sample(state_rng(task.name, seed))) for seed in candidates])


def _rounded(layout: Layout) -> dict[str, list[float]]:
    return {
        body: [round(float(value), 9) + 0.0 for value in (*pose.pos, *pose.quat)]
        for body, pose in sorted(layout.items())
    }
