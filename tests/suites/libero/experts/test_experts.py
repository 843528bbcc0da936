"""Experts solve tasks from published initial states, within the published budgets."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sfbench_suites.libero.catalog import find_task
from sfbench_suites.libero.config import LiberoConfig
from sfbench_suites.libero.experts import EXPERTS
from sfbench_suites.libero.suite import LiberoSuite

from sfbench.contracts import Env, Split
from sfbench.errors import UsageError

TASKS = (
    "pick_up_the_butter_and_place_it_in_the_basket",
    "pick_up_the_black_bowl_in_the_top_drawer_of_the_wooden_cabinet_and_place_it_on_the_plate",
    "turn_on_the_stove",
    "KITCHEN_SCENE4_put_the_black_bowl_in_the_bottom_drawer_of_the_cabinet_and_close_it",
)
"""A grasp across, a grasp at a rim, a knob, and a drawer."""


def _open(name: str) -> tuple[Env, int]:
    suite = LiberoSuite(find_task(name).suite, LiberoConfig())
    return suite.make_env(name, Split.EVAL), suite.tasks[name].budget_steps


def _play(env: Env, budget_steps: int) -> NDArray[np.float64]:
    """The expert's actions [T, 7] up to success, or up to the budget."""
    env.reset(0, 0)
    expert, actions = env.expert(), []
    while len(actions) < budget_steps and not env.success():
        actions.append(expert.act())
        env.step(actions[-1])
    return np.array(actions)


@pytest.mark.usefixtures("needs_assets")
@pytest.mark.parametrize("name", TASKS)
def test_solves(name: str) -> None:
    env, budget_steps = _open(name)
    actions = _play(env, budget_steps)
    solved = env.success()
    env.close()
    assert solved, f"not solved in {budget_steps} steps"
    assert np.abs(actions).max() <= 1.0
    # A policy can only imitate what does not jump.
    assert np.abs(np.diff(actions[:, :6], axis=0)).max() <= 0.25 + 1e-9


@pytest.mark.usefixtures("needs_assets")
def test_is_deterministic() -> None:
    env, budget_steps = _open("turn_on_the_stove")
    first, second = _play(env, budget_steps), _play(env, budget_steps)
    env.close()
    np.testing.assert_array_equal(first, second)


@pytest.mark.usefixtures("needs_assets")
def test_a_task_without_an_expert_says_which_have_one() -> None:
    name = "KITCHEN_SCENE10_close_the_top_drawer_of_the_cabinet"
    assert name not in EXPERTS
    env, _ = _open(name)
    env.reset(0, 0)
    with pytest.raises(UsageError, match="turn_on_the_stove"):
        env.expert()
    env.close()
