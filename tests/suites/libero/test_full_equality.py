"""The comparison of `test_bit_equality` over all 40 main tasks, and the goals of all 130.

`make test-libero-full` runs it.
"""

from pathlib import Path

import numpy as np
import pytest
from sfbench_suites.libero import catalog
from sfbench_suites.libero.reference import PlainEpisode

from .plain import assert_same_episode, make_env, moves, record
from .probes import probe_states, solving_state

pytestmark = [
    pytest.mark.usefixtures("needs_assets"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

MAIN = ("libero_spatial", "libero_object", "libero_goal", "libero_10")
TASKS = [name for suite in MAIN for name in catalog.tasks(suite)]
IMAGE_STEPS = (0, 1, *range(10, 71, 8))


@pytest.mark.parametrize("name", TASKS)
def test_every_main_task(name: str, tmp_path: Path) -> None:
    """Three episodes of 70 steps, forwards and then backwards in one process."""
    task = catalog.find_task(name)
    episodes = [
        PlainEpisode(
            init_state=index, seed=index + 7, actions=moves(60, index), image_steps=IMAGE_STEPS
        )
        for index in (0, 24, 49)
    ]
    records, _ = record(task, episodes, tmp_path)
    env = make_env(task)
    for index in (0, 1, 2, 1, 0):
        assert_same_episode(env, episodes[index], records[index])
    env.close()


@pytest.mark.parametrize(
    "name", [name for suite in catalog.SUITES for name in catalog.tasks(suite)]
)
def test_every_goal(name: str, tmp_path: Path) -> None:
    """A state that solves the task, and 200 near it: here and upstream agree on all of them."""
    task = catalog.find_task(name)
    episode = PlainEpisode(init_state=0, seed=3, actions=())
    env = make_env(task)
    env.reset(0, 3)
    states = np.vstack([solving_state(env.simulation), probe_states(env.simulation, 200)])
    _, expected = record(task, [episode], tmp_path, probes=states.tolist(), render_px=16)
    answers = []
    for state in states:
        env.simulation.start_from(state)
        answers.append(env.success())
    np.testing.assert_array_equal(answers, expected)
    assert answers[0], "the state that was made to solve the task does not"
    assert not all(answers), "every state solves the task"
    env.close()
