"""What a served policy is told of an episode: as much as the protocol carries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sfbench.contracts import EpisodeContext, EpisodeSpec, Split, Suite
from sfbench.rollout.seeds import policy_seed
from sfbench.serving.arrays import MessageError

EPISODE_KEY = "sfbench/episode"
"""Where our own client puts the episode, for our own server only."""

_FIELDS: dict[str, type[Any]] = {
    "suite": str,
    "task": str,
    "instruction": str,
    "instruction_split": str,
    "init_state": int,
    "split": str,
    "seed": int,
    "repeat": int,
    "budget_steps": int,
}


def episode_to_json(episode: EpisodeSpec) -> dict[str, Any]:
    """All of an episode as plain data; the served policy then draws the same random numbers."""
    return {**asdict(episode), "split": episode.split.value}


def episode_from_json(data: object) -> EpisodeSpec:
    """Inverse of `episode_to_json`. Raises MessageError."""
    if not isinstance(data, Mapping) or set(data) != set(_FIELDS):
        raise MessageError(f"'{EPISODE_KEY}' must have the fields {', '.join(_FIELDS)}")
    for name, kind in _FIELDS.items():
        if not isinstance(data[name], kind):
            raise MessageError(f"'{EPISODE_KEY}' > {name} is no {kind.__name__}")
    if data["split"] not in list(Split):
        raise MessageError(f"'{EPISODE_KEY}' > split is none of {', '.join(Split)}")
    return EpisodeSpec(**{**data, "split": Split(data["split"])})


@dataclass(frozen=True, slots=True)
class EpisodeTeller:
    """Makes up the part of an episode that a foreign client does not tell.

    The random stream then depends on the server's seed, the task's name and the episode's index,
    never on which session or slot it is.

    Attributes:
        suite: served.
        seed: of the server.
    """

    suite: Suite
    seed: int

    def context(self, task: str, instruction: str, index: int) -> EpisodeContext:
        """The context of an episode of which only this much is known."""
        known = self.suite.tasks.get(task)
        budgets = [item.budget_steps for item in self.suite.tasks.values()]
        episode = EpisodeSpec(
            suite=self.suite.name,
            task=task,
            instruction=instruction,
            instruction_split="seen",
            init_state=index,
            split=Split.EVAL,
            seed=self.seed,
            repeat=0,
            budget_steps=max(budgets) if known is None else known.budget_steps,
        )
        return self.exact(episode)

    def exact(self, episode: EpisodeSpec) -> EpisodeContext:
        """The context of an episode that our own client described."""
        return EpisodeContext(episode=episode, seed=policy_seed(episode.key))
