"""How an episode starts: its initial state, and where its fixtures stand.

`eval` states are LIBERO's published lists. They hold joint positions, and so every object and
drawer, but not where fixtures (cabinet, stove, ...) stand: upstream draws those at every reset.
`train` and `select` states are drawn whole, by the task's own samplers, fixtures included.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Split, stable_hash
from sfbench.errors import MissingError, UsageError

from .catalog import LiberoTask
from .config import FixturePoses
from .init_states import load, state_hash
from .placing import Draw, Generator, NoRoomError, Pose, draw_reset
from .presets import SeedRule
from .simulation import Simulation

DRAWN_STATES = {Split.TRAIN: 1000, Split.SELECT: 50}

FIXTURE_RULES = {
    FixturePoses.EPISODE: (
        "what a freshly made upstream environment draws at its first reset after "
        "env.seed(episode seed modulo 2^32)"
    ),
    FixturePoses.UPSTREAM: (
        "what the preset's source draws for this episode, running a task's episodes in order in "
        "one process; replayed for each episode"
    ),
}

_FIRST_RESET_COPIES = 2
"""Upstream's list of joints to draw holds one copy when an environment has been made, and grows by
one at every reset, before it is used."""


@dataclass(frozen=True, slots=True)
class FixtureRule:
    """How `eval` episodes get their fixture poses.

    Attributes:
        poses: which rule.
        env_seed: what `upstream` passes to `env.seed`; unused by `episode`.
        seed_rule: when upstream does so.
    """

    poses: FixturePoses
    env_seed: int
    seed_rule: SeedRule


def count(task: LiberoTask, split: Split) -> int:
    """How many initial states the split has."""
    return len(load(task.init_states_path)) if split is Split.EVAL else DRAWN_STATES[split]


def check_index(task: LiberoTask, split: Split, index: int) -> None:
    """Raises UsageError for an index outside of the split."""
    if not 0 <= index < count(task, split):
        raise UsageError(
            f"{task.suite} {task.name}: no {split} state {index}; allowed 0 to "
            f"{count(task, split) - 1}"
        )


def state_id(task: LiberoTask, split: Split, index: int) -> str:
    """An id of a state: of its numbers where they are published, of its draw where it is drawn."""
    check_index(task, split, index)
    if split is Split.EVAL:
        digest = state_hash(load(task.init_states_path)[index])
    else:
        digest = stable_hash([task.suite, task.name, str(split), index])
    return f"libero/{task.name}/{split}-{digest}"


def start_eval(
    simulation: Simulation, task: LiberoTask, index: int, seed: int, rule: FixtureRule
) -> Draw:
    """Reset to a published state."""
    states = load(task.init_states_path)
    size = 1 + simulation.model.nq + simulation.model.nv
    if states.shape[1] != size:
        raise MissingError(
            f"the initial states of {task.name} have {states.shape[1]} numbers, its scene {size}: "
            "LIBERO's files and assets do not belong together"
        )
    if rule.poses is FixturePoses.EPISODE:
        draw = _reset(simulation, Generator(seed % 2**32), _FIRST_RESET_COPIES)
    elif rule.seed_rule is SeedRule.EVERY_RESET:
        # This source resets once more, right after making the environment.
        generator = Generator((rule.env_seed + index) % 2**32)
        draw = _reset(simulation, generator, _FIRST_RESET_COPIES + 1 + index)
    else:
        generator = Generator(rule.env_seed % 2**32)
        copies = _skip(simulation, generator, index)
        draw = _reset(simulation, generator, copies)
    simulation.start_from(states[index])
    return draw


def start_drawn(simulation: Simulation, task: LiberoTask, split: Split, index: int) -> Draw:
    """Reset to a state that the task's samplers draw."""
    text = f"{task.suite}/{task.name}/{split}/{index}"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    draw = _reset(simulation, Generator(seed), _FIRST_RESET_COPIES)
    at_rest = np.zeros(simulation.model.nv)
    simulation.start_from(np.concatenate([[0.0], simulation.data.qpos, at_rest]))
    return draw


def start_demonstration(
    simulation: Simulation,
    task: LiberoTask,
    state: NDArray[np.float64],
    fixtures: Mapping[str, Pose],
) -> Draw:
    """Reset to a recorded state, with the fixtures where they stood.

    Raises:
        UsageError: state or fixtures are of another scene.
    """
    model, places = simulation.model, simulation.spec.placements
    size = 1 + model.nq + model.nv
    if state.shape != (size,):
        raise UsageError(
            f"the demonstration's state has {state.size} numbers, {task.name} has {size}: it is of "
            "another task"
        )
    poses = {}
    for place in places:
        if place.qpos is not None:
            start = 1 + place.qpos
            poses[place.name] = Pose(state[start : start + 3], state[start + 3 : start + 7])
            continue
        body = model.body(place.body).name
        if body not in fixtures:
            raise UsageError(f"the demonstration lacks {task.name}'s fixture '{body}'")
        poses[place.name] = fixtures[body]
    draw = simulation.reset(lambda: Draw((), poses))
    simulation.start_from(state)
    return draw


def _reset(simulation: Simulation, generator: Generator, copies: int) -> Draw:
    """Reset; where objects find no room, again with the numbers that follow, as upstream does."""
    while True:
        try:
            return simulation.reset(
                lambda copies=copies: draw_reset(  # type: ignore[misc]
                    simulation.spec, simulation.model, simulation.data, generator, copies
                )
            )
        except NoRoomError:
            copies += 1


def _skip(simulation: Simulation, generator: Generator, episodes: int) -> int:
    """Take what earlier episodes of the task draw; returns the copies that the next one draws."""
    copies, left = _FIRST_RESET_COPIES, episodes
    while left:
        simulation.clear()
        simulation.place_arm()
        simulation.place_fingers()
        try:
            draw_reset(simulation.spec, simulation.model, simulation.data, generator, copies)
            left -= 1
        except NoRoomError:
            pass
        copies += 1
    return copies
