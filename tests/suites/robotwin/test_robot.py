"""The robot: kinematics, meshes, and both action spaces."""

import subprocess
import sys

import mujoco
import numpy as np
import pytest
from sfbench_suites.robotwin.config import ActionSpace, RobotwinConfig
from sfbench_suites.robotwin.pose import Pose, angle_between
from sfbench_suites.robotwin.robot import decimation, panda_files
from sfbench_suites.robotwin.robot.kinematics import arm_kinematics
from sfbench_suites.robotwin.robot.panda import HOME_QPOS, Side, limits
from sfbench_suites.robotwin.scene.room import base_pos
from sfbench_suites.robotwin.spec import env_spec

from sfbench.contracts import Quantity, Rotation

from .conftest import MakeEnv, hold

TURN = (np.sqrt(0.5), 0, 0, np.sqrt(0.5))


def ee_action(env: object) -> np.ndarray:
    """The `ee` action that asks for where the tools are."""
    rows = []
    for side in Side:
        pose = env.scene.tcp(side)
        rows.append([*pose.pos, *pose.quat, env.scene.opening(side)])
    return np.concatenate(rows)


def test_kinematics_agree_with_the_scene(make_env: MakeEnv) -> None:
    env, solver = make_env("click_bell"), arm_kinematics()
    env.reset(0, seed=0)
    for side in Side:
        qpos = np.asarray(HOME_QPOS) + 0.1 * np.arange(7)
        env.data.qpos[env.scene._arm_qpos[side]] = qpos
        env.scene._fresh = False
        expected = Pose.of(base_pos(side), TURN) @ solver.forward(qpos)
        np.testing.assert_allclose(env.scene.tcp(side).pos, expected.pos, atol=1e-9)
        assert angle_between(env.scene.tcp(side).quat, expected.quat) < 1e-6


def test_inverse_undoes_forward() -> None:
    solver, rng = arm_kinematics(), np.random.default_rng(0)
    for _ in range(50):
        goal = np.asarray(HOME_QPOS) + rng.uniform(-0.3, 0.3, 7)
        target = solver.forward(goal)
        found = solver.solve(target, np.asarray(HOME_QPOS), iterations=60)
        assert found.reaches()
        np.testing.assert_allclose(solver.forward(found.qpos).pos, target.pos, atol=2e-3)


def test_out_of_reach_is_reported_and_stays_within_limits() -> None:
    solver = arm_kinematics()
    low, high = limits()
    found = solver.solve(Pose.of((2.0, 0, 0.3), (0, 1, 0, 0)), np.asarray(HOME_QPOS), 60)
    assert not found.reaches()
    assert (found.qpos >= low).all()
    assert (found.qpos <= high).all()


def test_ee_action_moves_the_tool_there(make_env: MakeEnv) -> None:
    env = make_env("click_bell", ActionSpace.EE)
    env.reset(0, seed=0)
    action = ee_action(env)
    action[8:11] += (-0.05, 0.06, -0.08)
    turned = Pose.of((0, 0, 0), action[11:15]) @ Pose.of(
        (0, 0, 0), (np.cos(0.2), 0, 0, np.sin(0.2))
    )
    action[11:15] = turned.quat
    action[15] = 0.5
    for _ in range(60):
        env.step(action)
    np.testing.assert_allclose(env.scene.tcp("right").pos, action[8:11], atol=1e-3)
    assert angle_between(env.scene.tcp("right").quat, turned.quat) < 5e-3
    assert env.observe([]).state[15] == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(env.scene.tcp("left").pos, action[:3], atol=1e-3)


def test_a_quaternion_and_its_negative_mean_the_same(make_env: MakeEnv) -> None:
    states = []
    for sign in (1, -1):
        env = make_env("click_bell", ActionSpace.EE)
        env.reset(0, seed=0)
        action = ee_action(env)
        action[3:7] *= sign
        action[2] -= 0.05
        for _ in range(10):
            env.step(action)
        states.append(env.get_state())
    np.testing.assert_allclose(states[0], states[1], atol=1e-9)


def test_four_zeros_keep_the_orientation(make_env: MakeEnv) -> None:
    env = make_env("click_bell", ActionSpace.EE)
    env.reset(0, seed=0)
    action = ee_action(env)
    before = env.scene.tcp("left").quat
    action[3:7] = 0
    action[2] -= 0.05
    for _ in range(20):
        env.step(action)
    assert angle_between(env.scene.tcp("left").quat, before) < 0.01


def test_both_spaces_describe_sixteen_numbers() -> None:
    qpos = env_spec(RobotwinConfig(action_space=ActionSpace.QPOS))
    ee = env_spec(RobotwinConfig(action_space=ActionSpace.EE))
    assert qpos.action.size == ee.action.size == qpos.state.size == 16
    assert [part.name for part in qpos.action.parts] == [
        "left_arm", "left_gripper", "right_arm", "right_gripper",
    ]  # fmt: skip
    assert ee.action.slice_of("right_rot") == slice(11, 15)
    rotation = next(part for part in ee.action.parts if part.quantity is Quantity.ROTATION)
    assert rotation.rotation is Rotation.QUAT_WXYZ
    assert ee.state == qpos.state


def test_gripper_opens_and_closes(make_env: MakeEnv) -> None:
    env = make_env("click_bell")
    env.reset(0, seed=0)
    assert env.observe([]).state[7] == 1.0
    for opening in (0.0, 0.3, 1.0):
        action = hold(env)
        action[[7, 15]] = opening
        for _ in range(20):
            env.step(action)
        np.testing.assert_allclose(env.observe([]).state[[7, 15]], opening, atol=0.01)


def test_masses_are_robosuites(make_env: MakeEnv) -> None:
    model = make_env("click_bell").model
    arms = robosuite_mass("robots/panda/robot.xml", "link0")
    fingers = 2 * 0.1
    for side in Side:
        bodies = [index for index in range(model.nbody) if model.body(index).name.startswith(side)]
        assert sum(model.body_mass[bodies]) == pytest.approx(arms + fingers)


def robosuite_mass(file: str, root: str) -> float:
    text = panda_files.robot_xml()
    base = next(body for body in text.iter("body") if body.get("name") == root)
    return sum(float(inertial.get("mass", "0")) for inertial in base.iter("inertial"))


def test_few_triangles_are_left_and_keep_the_shape() -> None:
    parts = [part for items in panda_files.visual_parts().values() for part in items]
    assert 2000 < sum(len(part.triangles) for part in parts) < 9000
    folder = panda_files.assets_folder() / "robots/panda/meshes"
    original = decimation.read_stl(folder / "link2_vis.stl").reshape(-1, 3)
    kept = panda_files.visual_parts()["link2"][0].triangles.reshape(-1, 3)
    np.testing.assert_allclose(kept.min(axis=0), original.min(axis=0), atol=0.006)
    np.testing.assert_allclose(kept.max(axis=0), original.max(axis=0), atol=0.006)


def test_simplifying_keeps_a_box_exactly() -> None:
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    faces = [[0, 1, 3], [0, 3, 2], [4, 7, 5], [4, 6, 7], [0, 5, 1], [0, 4, 5],
             [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]  # fmt: skip
    merged = decimation.simplify(corners[np.array(faces)], cell_m=0.4)
    assert len(merged) == 12
    found = np.unique(merged.reshape(-1, 3).round(6), axis=0)
    np.testing.assert_allclose(found, np.unique(corners, axis=0), atol=1e-6)


def test_cache_folder_may_be_unwritable(tmp_path: object) -> None:
    """Meshes are made anew, elsewhere, and robosuite itself is never imported."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    code = (
        "import sys; from sfbench_suites.robotwin.robot.panda_files import visual_parts; "
        "print(len(visual_parts()), 'robosuite' in sys.modules)"
    )
    env = {"XDG_CACHE_HOME": str(blocked), "TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert run.stdout.split() == ["10", "False"], run.stderr


def test_scene_is_small(make_env: MakeEnv) -> None:
    model = make_env("click_bell").model
    assert isinstance(model, mujoco.MjModel)
    assert model.opt.timestep == 0.0025
    assert model.ngeom < 140
