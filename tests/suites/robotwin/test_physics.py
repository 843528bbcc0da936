"""Objects stay where they are put, and a diverged simulation is a fault of the system."""

from pathlib import Path

import numpy as np
import pytest
from sfbench_suites.robotwin.pose import Pose
from sfbench_suites.robotwin.scene.room import TABLE_TOP_M

from sfbench.errors import SystemFaultError

from .conftest import SAMPLED, MakeEnv, deepest_penetration_m, free_bodies, hold


@pytest.mark.parametrize("task", SAMPLED)
def test_untouched_objects_rest(make_env: MakeEnv, task: str) -> None:
    env = make_env(task)
    for init_state in (0, 1, 2):
        env.reset(init_state, seed=0)
        assert deepest_penetration_m(env) < 2e-3
        bodies = free_bodies(env)
        start = {name: env.scene.pose(name).pos for name in bodies}
        action = hold(env)
        for _ in range(100):
            env.step(action)
            for name in bodies:
                assert np.linalg.norm(env.scene.pose(name).pos - start[name]) < 0.01
            assert deepest_penetration_m(env) < 2e-3
        assert all(env.scene.speed(name) < 1e-3 for name in bodies)


def test_arms_hold_their_pose_against_gravity(make_env: MakeEnv) -> None:
    env = make_env("click_bell")
    env.reset(0, seed=0)
    action = hold(env)
    for _ in range(60):
        env.step(action)
    np.testing.assert_allclose(env.observe([]).state, action, atol=1e-4)


def test_a_step_is_exactly_a_twentieth_of_a_second(make_env: MakeEnv) -> None:
    env = make_env("click_bell")
    env.reset(0, seed=0)
    for _ in range(20):
        env.step(hold(env))
    assert env.data.time == pytest.approx(1.0, abs=1e-9)


def test_joints_turn_no_faster_than_the_real_arm(make_env: MakeEnv) -> None:
    env = make_env("click_bell")
    env.reset(0, seed=0)
    action = hold(env)
    action[0] += 2.0
    before = env.scene.arm_target("left")[0]
    env.step(action)
    assert env.scene.arm_target("left")[0] - before == pytest.approx(2.175 / 20)


def test_divergence_is_a_system_fault(
    make_env: MakeEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log where it runs.
    env = make_env("click_bell")
    env.reset(0, seed=0)
    action = hold(env)
    env.data.qvel[0] = np.nan
    with pytest.raises(SystemFaultError, match="click_bell"):
        env.step(action)
    env.reset(0, seed=0)
    env.step(action)


def test_what_falls_off_the_table_comes_to_rest_on_the_floor(make_env: MakeEnv) -> None:
    env = make_env("stack_blocks_two")
    aside = Pose.of((0.75, 0.0, 0.1), (0.9, 0.3, 0.2, 0.1))
    env.scene.reset({"red_block": aside, "green_block": Pose.of((0, 0, 0.025))})
    action = hold(env)
    for _ in range(100):
        env.step(action)
    assert env.scene.pose("red_block").pos[2] == pytest.approx(0.025 - TABLE_TOP_M, abs=0.002)
    assert env.scene.speed("red_block") < 1e-3
