"""The scripted experts: they solve their tasks, smoothly, in both action spaces."""

import numpy as np
import pytest
from sfbench_suites.robotwin.config import ActionSpace
from sfbench_suites.robotwin.robot.panda import MAX_JOINT_SPEED, Side
from sfbench_suites.robotwin.tasks import all_tasks

from .conftest import SAMPLED, SPACES, MakeEnv, deepest_penetration_m


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("task", SAMPLED)
def test_expert_solves(make_env: MakeEnv, task: str, space: ActionSpace) -> None:
    env = make_env(task, space)
    for init_state in (0, 1):
        env.reset(init_state, seed=0)
        expert = env.expert()
        for _ in range(all_tasks()[task].budget_steps):
            action = expert.act()
            assert (action >= env.spec.action.low).all()
            assert (action <= env.spec.action.high).all()
            env.step(action)
            if env.success():
                break
        assert env.success()


@pytest.mark.parametrize("task", SAMPLED)
def test_expert_is_smooth_and_gentle(make_env: MakeEnv, task: str) -> None:
    env = make_env(task)
    env.reset(2, seed=0)
    expert = env.expert()
    arms = np.r_[0:7, 8:15]
    step_limit = np.tile(MAX_JOINT_SPEED, 2) / env.spec.action.hz
    previous = np.concatenate([env.scene.arm_target(side) for side in Side])
    speeds, depth = [np.zeros(14)], 0.0
    while not env.success():
        action = expert.act()
        speeds.append(action[arms] - previous)
        previous = action[arms]
        env.step(action)
        depth = max(depth, deepest_penetration_m(env))
    assert (np.abs(speeds) <= step_limit).all()
    # Half the speed limit gained or lost within 50 ms would be a jerk one can see.
    assert (np.abs(np.diff(speeds, axis=0)) <= 0.5 * step_limit).all()
    assert depth < 2e-3


def test_both_spaces_make_the_same_motion(make_env: MakeEnv) -> None:
    qpos, ee = make_env("lift_pot", ActionSpace.QPOS), make_env("lift_pot", ActionSpace.EE)
    for env in (qpos, ee):
        env.reset(3, seed=0)
    experts = qpos.expert(), ee.expert()
    for _ in range(70):
        qpos.step(experts[0].act())
        ee.step(experts[1].act())
        np.testing.assert_allclose(ee.observe([]).state, qpos.observe([]).state, atol=1e-4)


def test_expert_can_start_over(make_env: MakeEnv) -> None:
    """An expert made after a reset knows nothing of the one before."""
    env = make_env("click_bell")
    actions = []
    for _ in range(2):
        env.reset(0, seed=0)
        expert = env.expert()
        actions.append([expert.act() for _ in range(10)])
        for action in actions[-1]:
            env.step(action)
    np.testing.assert_array_equal(actions[0], actions[1])


@pytest.mark.parametrize("task", ["adjust_bottle", "lift_pot", "press_stapler"])
def test_written_quaternions_do_not_jump(make_env: MakeEnv, task: str) -> None:
    """They are learned from: two signs for one rotation would be two answers to one question."""
    env = make_env(task, ActionSpace.EE)
    for init_state in range(2):
        env.reset(init_state, seed=0)
        expert, written = env.expert(), []
        while not env.success():
            written.append(expert.act())
            env.step(written[-1])
        for part in (np.s_[:, 3:7], np.s_[:, 11:15]):
            quats = np.array(written)[part]
            assert (np.sum(quats[1:] * quats[:-1], axis=1) > 0.9).all()
