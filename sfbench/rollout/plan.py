"""The plan: every episode of a run, a pure function of the request."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from sfbench.contracts import EpisodeKey, EpisodeSpec, Json, Split, Suite, Task, stable_hash
from sfbench.errors import UnknownNameError, UsageError
from sfbench.rollout.seeds import instruction_seed

INSTRUCTION_SPLITS = ("seen", "unseen")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What a user asks for.

    Attributes:
        tasks: task names; None means all of the suite.
        split: which list of initial states.
        episodes: initial states per task, counted from `first`; None means all from there.
        first: number of the first initial state.
        seed: the run's seed.
        repeats: how often each (initial state, seed) is played.
        instruction_split: `seen` or `unseen` wordings.
    """

    tasks: tuple[str, ...] | None = None
    split: Split = Split.EVAL
    episodes: int | None = None
    first: int = 0
    seed: int = 0
    repeats: int = 1
    instruction_split: str = "seen"


@dataclass(frozen=True, slots=True)
class Plan:
    """All episodes of a run, in the order in which they are handed out."""

    episodes: tuple[EpisodeSpec, ...]

    @property
    def hash(self) -> str:
        """Hash of every planned episode."""
        return stable_hash([_episode_json(episode) for episode in self.episodes])

    def shard(self, index: int, count: int) -> "Plan":
        """The share of one of `count` array tasks. Raises UsageError for a wrong index."""
        if count < 1 or not 0 <= index < count:
            raise UsageError(f"shard {index} of {count}: allowed 0 to {count - 1}, of 1 or more")
        return Plan(self.episodes[index::count])

    def to_json(self) -> dict[str, Any]:
        """What `plan.json` holds."""
        return {
            "hash": self.hash,
            "planned": len(self.episodes),
            "episodes": [_episode_json(episode) for episode in self.episodes],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Plan":
        """Inverse of `to_json`."""
        return cls(
            tuple(
                EpisodeSpec(**{**episode, "split": Split(episode["split"])})
                for episode in data["episodes"]
            )
        )


def make_plan(suite: Suite, request: PlanRequest) -> Plan:
    """Every episode of the request, task by task.

    Raises:
        UsageError: unknown task, or a count outside what the split has.
    """
    _check_counts(request)
    episodes: list[EpisodeSpec] = []
    for name in _task_names(suite, request):
        task = suite.tasks[name]
        count = _episode_count(task, request)
        for init_state in range(request.first, request.first + count):
            for repeat in range(request.repeats):
                key = EpisodeKey(suite.name, name, init_state, request.seed, repeat)
                episodes.append(_episode(task, request, key))
    return Plan(tuple(episodes))


def _check_counts(request: PlanRequest) -> None:
    if request.seed < 0:
        raise UsageError(f"seed={request.seed}: allowed 0 or more")
    if request.first < 0:
        raise UsageError(f"first={request.first}: allowed 0 or more")
    if request.repeats < 1:
        raise UsageError(f"repeats={request.repeats}: allowed 1 or more")
    if request.instruction_split not in INSTRUCTION_SPLITS:
        raise UnknownNameError("instruction_split", request.instruction_split, INSTRUCTION_SPLITS)


def _task_names(suite: Suite, request: PlanRequest) -> tuple[str, ...]:
    if request.tasks is None:
        return tuple(suite.tasks)
    if not request.tasks:
        raise UsageError("tasks=[]: name at least one task, or leave the key out for all")
    for name in request.tasks:
        if name not in suite.tasks:
            raise UnknownNameError(f"task of suite '{suite.name}'", name, suite.tasks)
    if len(set(request.tasks)) != len(request.tasks):
        raise UsageError(f"tasks={list(request.tasks)}: a task is named twice")
    return request.tasks


def _episode_count(task: Task, request: PlanRequest) -> int:
    found = task.init_states.get(request.split, 0)
    available = max(0, found - request.first)
    wanted = available if request.episodes is None else request.episodes
    if not 1 <= wanted <= available:
        since = f" from first={request.first} on" if request.first else ""
        raise UsageError(
            f"episodes={wanted}: task '{task.name}' has {available} initial states in split "
            f"'{request.split}'{since}, allowed 1 to {available}; for more episodes use repeats= "
            "or seed="
        )
    if request.episodes is None and request.split is Split.TRAIN:
        raise UsageError(f"split=train has {found} initial states a task: say episodes=N")
    return wanted


def _episode(task: Task, request: PlanRequest, key: EpisodeKey) -> EpisodeSpec:
    seen = request.instruction_split == "seen"
    wordings = task.instructions if seen else task.unseen_instructions
    if not wordings:
        raise UsageError(
            f"task '{task.name}' has no {request.instruction_split} instructions; "
            "use instruction_split=seen"
        )
    return EpisodeSpec(
        suite=key.suite,
        task=key.task,
        instruction=wordings[instruction_seed(key) % len(wordings)],
        instruction_split=request.instruction_split,
        init_state=key.init_state,
        split=request.split,
        seed=key.seed,
        repeat=key.repeat,
        budget_steps=task.budget_steps,
    )


def _episode_json(episode: EpisodeSpec) -> dict[str, Json]:
    return dataclasses.asdict(episode)
