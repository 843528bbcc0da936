"""Find the initial states that the expert solves: `python -m sfbench_suites.robotwin.verify`.

Runs the expert on consecutive candidate seeds and stores the first 100 it solves as the task's
`eval` list, with the candidates it failed. `--split train --count N` only counts, for tuning.
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from multiprocessing import get_context
from typing import NamedTuple

import mujoco

from sfbench.contracts import Split
from sfbench.errors import SystemFaultError

from .config import ActionSpace, RandomizedConfig, RobotwinConfig
from .control import make_control
from .env import RobotwinEnv
from .spec import env_spec
from .states import COUNT, FIRST_CANDIDATE, Setting, StateList, VerifiedList, layouts_hash
from .suite import axes_of, own_model
from .tasks import all_tasks


class Outcome(NamedTuple):
    """How the expert fared on one candidate."""

    candidate: int
    steps: int | None
    """Steps until success; None if it failed."""
    reason: str


def config_of(setting: Setting, space: ActionSpace) -> RobotwinConfig:
    """The setting as it is verified: all that changes the physics is on."""
    kind = RobotwinConfig if setting is Setting.CLEAN else RandomizedConfig
    return kind(action_space=space)


def attempt(
    task: str,
    candidate: int,
    space: ActionSpace = ActionSpace.QPOS,
    setting: Setting = Setting.CLEAN,
) -> Outcome:
    """Run the expert on one candidate seed."""
    found = all_tasks()[task]
    config = config_of(setting, space)
    states = StateList(task, Split.TRAIN, (candidate,))
    env = RobotwinEnv(
        own_model(task, config),
        found,
        env_spec(config),
        make_control(space),
        states,
        axes_of(config),
    )
    env.reset_candidate(candidate)
    if env.success():
        return Outcome(candidate, None, "solved at reset")
    expert = env.expert()
    for step in range(1, found.budget_steps + 1):
        try:
            env.step(expert.act())
        except SystemFaultError as error:
            return Outcome(candidate, None, str(error))
        if env.success():
            return Outcome(candidate, step, "")
    return Outcome(candidate, None, f"not solved in {found.budget_steps} steps")


class Trial(NamedTuple):
    """What is tried, and with how many processes."""

    task: str
    setting: Setting
    space: ActionSpace
    processes: int


def outcomes(trial: Trial, first: int) -> Iterator[Outcome]:
    """Outcomes of consecutive candidates, in order, without end."""
    with ProcessPoolExecutor(trial.processes, mp_context=get_context("spawn")) as pool:
        batch = 4 * trial.processes
        try_one = partial(_attempt_at, trial)
        for start in count(first, batch):
            yield from pool.map(try_one, range(start, start + batch))


def _attempt_at(trial: Trial, candidate: int) -> Outcome:
    return attempt(trial.task, candidate, trial.space, trial.setting)


def verify(trial: Trial) -> VerifiedList:
    """Count up from the first eval candidate until 100 are solved."""
    task = trial.task
    found = all_tasks()[task]
    accepted: list[int] = []
    rejected: dict[str, str] = {}
    for outcome in outcomes(trial, FIRST_CANDIDATE[Split.EVAL]):
        if outcome.steps is None:
            rejected[str(outcome.candidate)] = outcome.reason
        else:
            accepted.append(outcome.candidate)
        if len(accepted) == COUNT[Split.EVAL]:
            break
    return VerifiedList(
        task=task,
        task_version=found.version,
        mujoco=str(mujoco.__version__),
        tried=len(accepted) + len(rejected),
        accepted=tuple(accepted),
        rejected=rejected,
        layouts_hash=layouts_hash(found, tuple(accepted)),
    )


def tally(trial: Trial, number: int) -> None:
    """Print how the expert fares on training candidates, which decide nothing."""
    solved: list[int] = []
    first = FIRST_CANDIDATE[Split.TRAIN]
    for outcome in outcomes(trial, first):
        if outcome.candidate >= first + number:
            break
        if outcome.steps is None:
            print(f"{trial.task}: candidate {outcome.candidate}: {outcome.reason}")
        else:
            solved.append(outcome.steps)
    longest = max(solved, default=0)
    mean = sum(solved) / max(len(solved), 1)
    print(
        f"{trial.task} {trial.setting} {trial.space}: {len(solved)}/{number} solved, "
        f"steps mean {mean:.0f}, max {longest}"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=list(all_tasks()), help="default: every task")
    parser.add_argument("--setting", choices=list(Setting), default=Setting.CLEAN)
    parser.add_argument("--split", choices=["eval", "train"], default="eval")
    parser.add_argument("--count", type=int, default=100, help="training candidates to try")
    parser.add_argument("--action-space", choices=list(ActionSpace), default=ActionSpace.QPOS)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    for task in [arguments.task] if arguments.task else list(all_tasks()):
        setting, space = Setting(arguments.setting), ActionSpace(arguments.action_space)
        trial = Trial(task, setting, space, arguments.processes)
        if arguments.split == "train":
            tally(trial, arguments.count)
            continue
        found = verify(trial)
        path = found.save(setting)
        print(f"{task}: {found.tried} tried, {len(found.rejected)} rejected -> {path}")


if __name__ == "__main__":
    main()
