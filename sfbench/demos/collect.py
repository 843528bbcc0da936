"""Collecting demonstrations: rollouts of an expert, or replays, made into a dataset folder."""

import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sfbench.contracts import (
    EpisodeRow,
    Json,
    RecordedSuite,
    Split,
    Status,
    Suite,
    differences,
)
from sfbench.demos.lerobot.write import is_complete, write_dataset
from sfbench.demos.recorder import RecorderRecipe, staging_folder
from sfbench.demos.spec import DatasetSpec
from sfbench.demos.staging import StagedEpisode
from sfbench.errors import DatasetError, StoppedError, UsageError
from sfbench.rollout.engine import RunSubscriber
from sfbench.rollout.episode_loop import EpisodeEnd
from sfbench.rollout.plan import PlanRequest
from sfbench.rollout.request import RunRequest
from sfbench.rollout.run import evaluate
from sfbench.rollout.run_folder import write_atomically

_ATTEMPTS_PER_EPISODE, _ATTEMPTS_MORE = 4, 16
"""A task that needs more attempts than episodes * 4 + 16 is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectRequest:
    """What is collected.

    Attributes:
        run: suite, policy, workers and all else of the rollout; its `out` is the dataset folder.
        spec: cameras and extras.
        tasks: names; None for all of the suite.
        episodes: successes per task; None only with `source`: as many as it has.
        seed: of the run.
        first: number of the first initial state that is tried.
        source: recordings that the policy replays, or None.
    """

    run: RunRequest
    spec: DatasetSpec
    tasks: tuple[str, ...] | None = None
    episodes: int | None = None
    seed: int = 0
    first: int = 0
    source: Path | None = None

    @property
    def folder(self) -> Path:
        """The dataset folder."""
        return self.run.out

    @property
    def work(self) -> Path:
        """The run folder inside of it: plan, rows, provenance, and episodes not yet finished."""
        return self.run.out / "collection"

    @property
    def staging(self) -> Path:
        """Recorded episodes, until the dataset is written."""
        return self.work / "recorded"


@dataclass(frozen=True, slots=True)
class TaskCount:
    """What became of a task's attempts.

    Attributes:
        kept: demonstrations in the dataset.
        solved: successful attempts.
        attempts: all of them.
    """

    task: str
    kept: int
    solved: int
    attempts: int


def collect(request: CollectRequest, watch: Callable[[], RunSubscriber]) -> list[TaskCount]:
    """Collect what is missing, then write the dataset. The same call again resumes.

    Args:
        request: what.
        watch: makes what shows the progress, for each of the rollouts that it takes.

    Raises:
        UsageError: nothing was run; the message says what to change.
        StoppedError: part of it was run; the same call resumes.
    """
    check_same_request(request)
    if not is_complete(request.folder):
        suite = request.run.suite.build()
        rows = _run(request, suite, watch)
        kept = _chosen(rows, request.episodes)
        _write(request, suite, kept, rows)
    shutil.rmtree(request.staging, ignore_errors=True)
    return _stored_counts(request.folder)


def wanted_counts(request: CollectRequest, suite: Suite) -> dict[str, int]:
    """Attempts to begin with, by task.

    Raises:
        UsageError: neither episodes= nor source=; a task that the source lacks.
    """
    tasks = tuple(suite.tasks) if request.tasks is None else request.tasks
    if request.source is None:
        if request.episodes is None or request.episodes < 1:
            raise UsageError(
                f"episodes={request.episodes}: say how many demonstrations of each task, 1 or more"
            )
        return dict.fromkeys(tasks, request.episodes)
    if not isinstance(suite, RecordedSuite):
        raise UsageError(f"source=: suite '{suite.name}' has no recordings that it could replay")
    found = {task: suite.recorded(request.source, task) for task in tasks}
    if lacking := [task for task, count in found.items() if not count]:
        there = [task for task, count in found.items() if count]
        raise UsageError(
            f"{request.source} has no recordings of {', '.join(lacking)}; "
            + (f"choose tasks=[{','.join(there)}]" if there else "name a folder or file with some")
        )
    if request.episodes is not None:
        return {task: min(count, request.episodes) for task, count in found.items()}
    return found


def _run(
    request: CollectRequest, suite: Suite, watch: Callable[[], RunSubscriber]
) -> dict[str, list[EpisodeRow]]:
    """Attempts by task, until there are enough successes; replays have one attempt each."""
    todo = wanted_counts(request, suite)
    rows: dict[str, list[EpisodeRow]] = {}
    while todo:
        for count in sorted(set(todo.values())):
            tasks = tuple(task for task in todo if todo[task] == count)
            found = evaluate(_run_request(request, tasks, count), [watch()]).rows
            rows |= {task: [row for row in found if row.task == task] for task in tasks}
        todo = {} if request.source is not None else _more(request, rows)
    return rows


def _more(request: CollectRequest, rows: Mapping[str, Sequence[EpisodeRow]]) -> dict[str, int]:
    """Attempts that tasks with too few successes need in all."""
    wanted = request.episodes or 0
    todo = {}
    for task, attempts in rows.items():
        solved = sum(row.status is Status.SUCCESS for row in attempts)
        if solved >= wanted:
            continue
        if len(attempts) >= _ATTEMPTS_PER_EPISODE * wanted + _ATTEMPTS_MORE:
            raise StoppedError(
                f"{task}: only {solved} of {len(attempts)} attempts succeeded; given up before "
                f"{wanted} demonstrations. Leave the task out with tasks=, or use another policy "
                f"(rows: {request.work})"
            )
        # As many as should do at the rate so far: starting workers again takes longer.
        rate = max(solved / len(attempts), 1 / _ATTEMPTS_PER_EPISODE)
        todo[task] = len(attempts) + math.ceil((wanted - solved) / rate)
    return todo


def _run_request(request: CollectRequest, tasks: tuple[str, ...], count: int) -> RunRequest:
    return replace(
        request.run,
        out=request.work,
        plan=PlanRequest(
            tasks=tasks,
            split=Split.TRAIN,
            episodes=count,
            first=request.first,
            seed=request.seed,
        ),
        subscribers=(RecorderRecipe(request.staging, request.spec),),
        ends=EpisodeEnd.FIRST_SUCCESS if request.source is None else EpisodeEnd.PLAYED_OUT,
    )


def _chosen(
    rows: Mapping[str, Sequence[EpisodeRow]], episodes: int | None
) -> dict[str, list[EpisodeRow]]:
    """The first successes of each task, by initial state: the same for any number of workers."""
    chosen = {}
    for task, attempts in rows.items():
        solved = [row for row in attempts if row.status is Status.SUCCESS]
        chosen[task] = sorted(solved, key=lambda row: row.init_state)[:episodes]
    return chosen


def _write(
    request: CollectRequest,
    suite: Suite,
    kept: Mapping[str, Sequence[EpisodeRow]],
    rows: Mapping[str, Sequence[EpisodeRow]],
) -> None:
    staged = [_staged(request, suite, row) for task in kept for row in kept[task]]
    if not staged:
        raise StoppedError(f"no attempt succeeded; there is nothing to keep (rows: {request.work})")
    counts = [
        {
            "task": task,
            "kept": len(kept[task]),
            "solved": sum(row.status is Status.SUCCESS for row in rows[task]),
            "attempts": len(rows[task]),
        }
        for task in rows
    ]
    first = next(row for attempts in rows.values() for row in attempts)
    collection: dict[str, Json] = {
        "policy": first.policy,
        "card": first.card,
        "split": Split.TRAIN.value,
        "seed": request.seed,
        "source": None if request.source is None else request.source.name,
        "tasks": counts,
    }
    write_dataset(request.folder, request.spec, staged, collection)


def _staged(request: CollectRequest, suite: Suite, row: EpisodeRow) -> StagedEpisode:
    found = StagedEpisode.read(staging_folder(request.staging, row.key))
    if request.source is not None:
        # A replay starts where the recording did, not in a state of the suite's list.
        return replace(found, info=replace(found.info, split=None, init_state=None))
    state = suite.state_id(row.task, Split.TRAIN, row.init_state)
    return replace(found, info=replace(found.info, state_id=state))


def check_same_request(request: CollectRequest) -> None:
    """Refuse to go on with something else in a folder; write down what is asked of a new one."""
    asked: dict[str, Json] = {
        "suite": request.run.suite.name,
        "policy": request.run.policy.name,
        "tasks": None if request.tasks is None else list(request.tasks),
        "episodes": request.episodes,
        "seed": request.seed,
        "source": None if request.source is None else str(request.source),
        "spec": request.spec.to_json(),
        "suite_config": _plain(request.run.suite.config),
        "policy_config": _plain(request.run.policy.config),
    }
    if request.first:  # Left out where it is 0: requests of before it was a key have none.
        asked["first"] = request.first
    path = request.work / "request.json"
    # A request that was refused before its first episode leaves nothing to mix with.
    if path.exists() and (is_complete(request.folder) or _has_rows(request.work)):
        changed = differences(json.loads(path.read_text()), json.loads(json.dumps(asked)))
        if changed:
            raise DatasetError(
                f"{request.folder} holds the demonstrations of another request; use another out=. "
                "Differences (stored -> now):\n  " + "\n  ".join(changed)
            )
        return
    if is_complete(request.folder):
        raise DatasetError(f"{request.folder} holds a dataset already; use another out=")
    try:
        write_atomically(path, json.dumps(asked, indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"out={request.folder} cannot be written: {error.strerror}") from error


def _has_rows(run_folder: Path) -> bool:
    return any(path.stat().st_size for path in run_folder.glob("episodes/*.jsonl"))


def _plain(config: Any) -> Json:  # noqa: ANN401 (a plugin's config class)
    """A plugin's config as JSON."""
    found: Json = json.loads(json.dumps(asdict(config), default=str))
    return found


def _stored_counts(folder: Path) -> list[TaskCount]:
    data = json.loads((folder / "meta/sfbench.json").read_text())
    return [TaskCount(**item) for item in data["collection"]["tasks"]]


def total(counts: Iterable[TaskCount]) -> TaskCount:
    """The sum over tasks."""
    items = list(counts)
    return TaskCount(
        "all tasks",
        sum(item.kept for item in items),
        sum(item.solved for item in items),
        sum(item.attempts for item in items),
    )
