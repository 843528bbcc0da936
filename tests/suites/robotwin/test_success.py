"""Success is met by solving the task, and by nothing less."""

import numpy as np
import pytest
from sfbench_suites.robotwin.config import ActionSpace
from sfbench_suites.robotwin.pose import Pose
from sfbench_suites.robotwin.robot.panda import Side
from sfbench_suites.robotwin.tasks import all_tasks

from sfbench.contracts import Split

from .conftest import SAMPLED, SPACES, TASKS, MakeEnv, hold


@pytest.mark.parametrize("task", TASKS)
def test_no_eval_state_is_solved_at_reset(make_env: MakeEnv, task: str) -> None:
    env = make_env(task, split=Split.EVAL)
    for init_state in range(100):
        env.reset(init_state, seed=0)
        assert not env.success()


@pytest.mark.parametrize("task", SAMPLED)
def test_doing_nothing_solves_nothing(make_env: MakeEnv, task: str) -> None:
    env = make_env(task, split=Split.EVAL)
    env.reset(0, seed=0)
    action = hold(env)
    for _ in range(100):
        env.step(action)
        assert not env.success()


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("task", SAMPLED)
def test_flailing_solves_nothing(make_env: MakeEnv, task: str, space: ActionSpace) -> None:
    env = make_env(task, space, Split.EVAL)
    rng = np.random.default_rng(1)
    env.reset(1, seed=0)
    for _ in range(200):
        env.step(rng.uniform(env.spec.action.low, env.spec.action.high))
        assert not env.success()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_fifty_random_episodes_solve_nothing(make_env: MakeEnv, task: str) -> None:
    env = make_env(task, split=Split.EVAL)
    for init_state in range(50):
        rng = np.random.default_rng(init_state)
        env.reset(init_state, seed=0)
        for _ in range(all_tasks()[task].budget_steps):
            env.step(rng.uniform(env.spec.action.low, env.spec.action.high))
            assert not env.success()


def put(env: object, layout: dict[str, Pose]) -> None:
    """Lay objects out by hand, and let them come to rest."""
    env.scene.reset(layout)
    action = hold(env)
    for _ in range(20):
        env.step(action)


def test_stacked_blocks_count_only_as_a_tower_at_rest(make_env: MakeEnv) -> None:
    env = make_env("stack_blocks_two")
    red = Pose.of((0, 0, 0.025))
    put(env, {"red_block": red, "green_block": Pose.of((0.01, 0, 0.0755))})
    assert env.success()
    env.scene.data.joint("green_block_free").qvel[0] = 0.1
    assert not env.success()
    put(env, {"red_block": red, "green_block": Pose.of((0.1, 0, 0.025))})
    assert not env.success()
    put(env, {"red_block": Pose.of((0, 0, 0.0755)), "green_block": red})
    assert not env.success()


def test_a_tower_still_in_the_gripper_does_not_count(make_env: MakeEnv) -> None:
    env = make_env("stack_blocks_two")
    put(env, {"red_block": Pose.of((0, 0, 0.025)), "green_block": Pose.of((0, 0, 0.0755))})
    action = hold(env)
    action[15] = 0.5
    for _ in range(20):
        env.step(action)
    assert not env.success()


def test_cup_must_stand_on_the_coaster(make_env: MakeEnv) -> None:
    env = make_env("place_empty_cup")
    coaster = Pose.of((0, 0, 0))
    put(env, {"coaster": coaster, "cup": Pose.of((0.01, 0, 0.0061))})
    assert env.success()
    put(env, {"coaster": coaster, "cup": Pose.of((0.09, 0, 0))})
    assert not env.success()
    lying = Pose.of((0, 0, 0.04), (np.sqrt(0.5), np.sqrt(0.5), 0, 0))
    put(env, {"coaster": coaster, "cup": lying})
    assert not env.success()


def test_block_must_stand_on_the_pad(make_env: MakeEnv) -> None:
    env = make_env("handover_block")
    pad = Pose.of((0.2, 0.1, 0.005))
    put(env, {"pad": pad, "block": Pose.of((0.2, 0.1, 0.1101))})
    assert env.success()
    put(env, {"pad": pad, "block": Pose.of((0.1, 0.0, 0.1001))})
    assert not env.success()


def test_a_pressed_bell_needs_a_closed_gripper(make_env: MakeEnv) -> None:
    env = make_env("click_bell")
    env.reset(0, seed=0)
    env.scene.data.joint("bell_button").qpos[0] = -0.006
    env.scene._fresh = False
    assert not env.success()


def test_a_bell_is_pressed_by_a_closed_gripper_only(make_env: MakeEnv) -> None:
    """The expert's own press, with the gripper opened a little, does not count."""
    env = make_env("click_bell")
    env.reset(0, seed=0)
    expert = env.expert()
    while not env.success():
        env.step(expert.act())
    action = hold(env)
    side = 7 if env.scene.pose("bell").pos[0] < 0 else 15
    env.step(action)
    assert env.success()
    action[side] = 0.3
    for _ in range(10):
        env.step(action)
    assert not env.success()


def test_a_hammer_lying_on_the_block_needs_a_hand(make_env: MakeEnv) -> None:
    env = make_env("beat_block_hammer")
    layout = {"block": Pose.of((0, 0.1, 0.025)), "hammer": Pose.of((0, 0.1, 0.0765))}
    put(env, layout)
    assert env.scene.contacts("hammer", "block")
    assert not env.success()


def test_a_raised_pot_needs_both_hands(make_env: MakeEnv) -> None:
    env = make_env("lift_pot")
    env.scene.reset({"pot": Pose.of((0, 0, 0.15))})
    assert not env.success()
    assert not any(env.scene.touches(side, "pot") for side in Side)
