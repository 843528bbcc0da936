"""The same episode gives the same bits, whatever came before it, and from any saved state."""

import numpy as np
import pytest
from sfbench_suites.robotwin.config import ActionSpace
from sfbench_suites.robotwin.env import RobotwinEnv

from .conftest import SPACES, MakeEnv

TASK = "stack_blocks_two"


def expert_run(env: RobotwinEnv, init_state: int, steps: int) -> np.ndarray:
    env.reset(init_state, seed=0)
    expert = env.expert()
    states = []
    for _ in range(steps):
        env.step(expert.act())
        states.append(env.get_state())
    return np.stack(states)


@pytest.mark.parametrize("space", SPACES)
def test_episodes_do_not_depend_on_what_came_before(make_env: MakeEnv, space: ActionSpace) -> None:
    one, two = make_env(TASK, space), make_env(TASK, space)
    expected = {init_state: expert_run(one, init_state, 60) for init_state in (0, 1)}
    for init_state in (1, 0, 1):
        np.testing.assert_array_equal(expert_run(two, init_state, 60), expected[init_state])


@pytest.mark.parametrize("space", SPACES)
def test_a_saved_state_continues_with_an_object_in_hand(
    make_env: MakeEnv, space: ActionSpace
) -> None:
    env, other = make_env(TASK, space), make_env(TASK, space)
    env.reset(0, seed=0)
    other.reset(0, seed=0)
    expert = env.expert()
    actions = [expert.act() for _ in range(1)]
    env.step(actions[0])
    for _ in range(49):
        env.step(expert.act())
    saved, rest = env.get_state(), []
    for _ in range(30):
        rest.append(expert.act())
        env.step(rest[-1])
    for again in (env, other):
        again.set_state(saved)
        np.testing.assert_array_equal(again.get_state(), saved)
        for action in rest:
            again.success()
            again.observe([])
            again.step(action)
    np.testing.assert_array_equal(env.get_state(), other.get_state())
    assert env.scene.touches("right", "red_block") or env.scene.touches("left", "red_block")
