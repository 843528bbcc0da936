"""Find the initial states that the expert solves: `python -m sfbench_suites.robotwin.verify`.

Runs the expert on consecutive candidate seeds and stores the first 100 it solves as the task's
`eval` list, with the candidates it failed. `--split train --count N` only counts, for tuning.
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from typing import NamedTuple

import mujoco

from sfbench.contracts import Split
from sfbench.errors import SystemFaultError

from .config import ActionSpace, RobotwinConfig
from .control import make_control
from .env import RobotwinEnv
from .spec import env_spec
from .states import COUNT, FIRST_CANDIDATE, StateList, VerifiedList, layouts_hash
from .suite import compiled_model
from .tasks import all_tasks


class Outcome(NamedTuple):
    """How the expert fared on one candidate."""

    candidate: int
    steps: int | None
    """Steps until success; None if it failed."""
    reason: str


def attempt(task: str, candidate: int, space: ActionSpace = ActionSpace.QPOS) -> Outcome:
    """Run the expert on one candidate seed."""
    found = all_tasks()[task]
    config = RobotwinConfig(action_space=space)
    states = StateList(task, Split.TRAIN, (candidate,))
    env = RobotwinEnv(
        compiled_model(task, config), found, env_spec(config), make_control(space), states
    )
    env.reset(0, 0)
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


def outcomes(task: str, first: int, space: ActionSpace, processes: int) -> Iterator[Outcome]:
    """Outcomes of consecutive candidates, in order, without end."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        batch = 4 * processes
        for start in count(first, batch):
            seeds = range(start, start + batch)
            yield from pool.map(attempt, [task] * batch, seeds, [space] * batch)


def verify(task: str, processes: int) -> VerifiedList:
    """Count up from the first eval candidate until 100 are solved."""
    found = all_tasks()[task]
    accepted: list[int] = []
    rejected: dict[str, str] = {}
    stream = outcomes(task, FIRST_CANDIDATE[Split.EVAL], ActionSpace.QPOS, processes)
    for outcome in stream:
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


def tally(task: str, number: int, space: ActionSpace, processes: int) -> None:
    """Print how the expert fares on training candidates, which decide nothing."""
    solved: list[int] = []
    first = FIRST_CANDIDATE[Split.TRAIN]
    for outcome in outcomes(task, first, space, processes):
        if outcome.candidate >= first + number:
            break
        if outcome.steps is None:
            print(f"{task}: candidate {outcome.candidate}: {outcome.reason}")
        else:
            solved.append(outcome.steps)
    longest = max(solved, default=0)
    mean = sum(solved) / max(len(solved), 1)
    print(f"{task} {space}: {len(solved)}/{number} solved, steps mean {mean:.0f}, max {longest}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=list(all_tasks()), help="default: every task")
    parser.add_argument("--split", choices=["eval", "train"], default="eval")
    parser.add_argument("--count", type=int, default=100, help="training candidates to try")
    parser.add_argument("--action-space", choices=list(ActionSpace), default=ActionSpace.QPOS)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    for task in [arguments.task] if arguments.task else list(all_tasks()):
        if arguments.split == "train":
            space = ActionSpace(arguments.action_space)
            tally(task, arguments.count, space, arguments.processes)
            continue
        found = verify(task, arguments.processes)
        path = found.save()
        print(f"{task}: {found.tried} tried, {len(found.rejected)} rejected -> {path}")


if __name__ == "__main__":
    main()
