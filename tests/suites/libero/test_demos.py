"""Demonstration files: written in the official layout, read back, replayed."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from sfbench_suites.libero import catalog, demo_writer, demos
from sfbench_suites.libero.env import LiberoEnv

from sfbench.contracts import Orientation
from sfbench.errors import MissingError, UnknownNameError, UsageError

from .plain import make_env, moves

pytestmark = pytest.mark.usefixtures("needs_assets")

TASK = catalog.find_task("turn_on_the_stove")


def turn_knob(env: LiberoEnv) -> None:
    env.data.qpos[list(env.scene.lights[0].lit.qpos)] = 1.0


@pytest.fixture(scope="module")
def episode() -> demo_writer.RecordedEpisode:
    """Twelve steps; the knob is turned by hand before the last."""
    env = make_env(TASK, render_px=demo_writer.IMAGE_PX)
    env.reset(2, 77)
    recorder = demo_writer.Recorder(env)
    for action in moves(12, 1)[10:]:
        if len(recorder) == 11:
            turn_knob(env)
        recorder.step(np.array(action))
    env.close()
    return recorder.finish()


@pytest.fixture(scope="module")
def path(episode: demo_writer.RecordedEpisode, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demos") / "turn_on_the_stove_demo.hdf5"
    demo_writer.write_demonstrations(path, TASK, [episode, episode])
    return path


def test_the_layout_is_the_official_one(path: Path) -> None:
    with h5py.File(path) as file:
        data = file["data"]
        assert set(data.attrs) == {
            "env_name",
            "problem_info",
            "macros_image_convention",
            "bddl_file_name",
            "bddl_file_content",
            "env_args",
            "num_demos",
            "total",
        }
        assert (data.attrs["num_demos"], data.attrs["total"]) == (2, 24)
        assert (
            json.loads(data.attrs["problem_info"])["problem_name"] == data.attrs["env_name"].lower()
        )
        demo = data["demo_1"]
        assert set(demo.attrs) == {"num_samples", "model_file", "init_state"}
        assert {name: demo[name].shape[1:] for name in demo if name != "obs"} == {
            "actions": (7,),
            "states": demo.attrs["init_state"].shape,
            "robot_states": (9,),
            "rewards": (),
            "dones": (),
        }
        assert {name: demo["obs"][name].shape[1:] for name in demo["obs"]} == {
            "agentview_rgb": (128, 128, 3),
            "eye_in_hand_rgb": (128, 128, 3),
            "ee_ori": (3,),
            "ee_pos": (3,),
            "ee_states": (6,),
            "gripper_states": (2,),
            "joint_states": (7,),
        }
        assert demo["dones"][()].tolist() == [0] * 11 + [1]


def test_no_folder_of_this_machine_gets_into_a_file(path: Path) -> None:
    with h5py.File(path) as file:
        xml = file["data/demo_0"].attrs["model_file"]
        texts = [xml, *(str(value) for value in file["data"].attrs.values())]
    assert 'file="libero/libero/assets/' in xml
    assert 'file="robosuite/' in xml
    assert not any('="/' in text for text in texts)


def test_read_back(path: Path, episode: demo_writer.RecordedEpisode) -> None:
    assert demos.count_demonstrations(path) == 2
    demo = demos.load_demonstration(path, 1, TASK.name)
    assert (demo.task, demo.instruction) == (TASK.name, "turn on the stove")
    np.testing.assert_array_equal(demo.actions, episode.actions)
    np.testing.assert_array_equal(demo.init_state, episode.states[0])
    raw = demos.load_images(path, 0, "agentview", Orientation.BOTTOM_UP)
    turned = demos.load_images(path, 0, "agentview", Orientation.MIRRORED)
    np.testing.assert_array_equal(raw[:, ::-1, ::-1], turned)
    np.testing.assert_array_equal(raw, episode.observations["agentview_rgb"])


def test_replay_starts_in_the_same_scene_and_solves_the_task(path: Path) -> None:
    demo = demos.load_demonstration(path, 0)
    recorded, env = make_env(TASK), make_env(TASK, render_px=128)
    recorded.reset(2, 77)
    env.start_demonstration(demo.init_state, demo.fixtures)
    np.testing.assert_array_equal(env.model.body_pos, recorded.model.body_pos)
    np.testing.assert_array_equal(env.model.body_quat, recorded.model.body_quat)
    assert env.scene_hash() == recorded.scene_hash()
    assert not env.success()
    for count, action in enumerate(demo.actions):
        if count == 11:
            turn_knob(env)
        # Only the solver's warm start is not in a file.
        state = np.concatenate([env.data.qpos, env.data.qvel])
        np.testing.assert_allclose(state, demo.states[count, 1:], atol=1e-6)
        env.step(action)
    assert env.success()
    images = demos.load_images(path, 0, "agentview", Orientation.MIRRORED)
    seen = env.observe(["agentview"]).images["agentview"]
    assert np.abs(seen.astype(int) - images[-1]).mean() < 0.1
    recorded.close()
    env.close()


def test_a_file_of_another_task(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="demonstrations of turn_on_the_stove, not of open_the"):
        demos.load_demonstration(path, 0, "open_the_middle_drawer_of_the_cabinet")
    demo = demos.load_demonstration(path, 0)
    env = make_env(catalog.find_task("pick_up_the_milk_and_place_it_in_the_basket"))
    with pytest.raises(UsageError, match="it is of another task"):
        env.start_demonstration(demo.init_state, demo.fixtures)
    env.close()


def test_wrong_files(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no demonstration 2; allowed 0 to 1"):
        demos.load_demonstration(path, 2)
    with pytest.raises(MissingError, match="no demonstration file"):
        demos.load_demonstration(tmp_path / "absent.hdf5", 0)
    text = tmp_path / "text.hdf5"
    text.write_text("no HDF5")
    with pytest.raises(MissingError, match="is no HDF5 file"):
        demos.load_demonstration(text, 0)
    with h5py.File(tmp_path / "empty.hdf5", "w"):
        pass
    with pytest.raises(MissingError, match="has no group data/demo_0"):
        demos.load_demonstration(tmp_path / "empty.hdf5", 0)
    with h5py.File(tmp_path / "open_the_window_demo.hdf5", "w") as file:
        file.create_group("data/demo_0")
    with pytest.raises(UnknownNameError, match="unknown LIBERO task 'open_the_window'"):
        demos.load_demonstration(tmp_path / "open_the_window_demo.hdf5", 0)
    with pytest.raises(MissingError, match="no images of 'depth'"):
        demos.load_images(path, 0, "depth", Orientation.UPRIGHT)


def test_only_solved_episodes_of_the_right_size_are_recorded() -> None:
    env = make_env(TASK)
    with pytest.raises(UsageError, match=r"suite\.render_px=128"):
        demo_writer.Recorder(env)
    env.close()
    env = make_env(TASK, render_px=128)
    env.reset(0, 0)
    recorder = demo_writer.Recorder(env)
    recorder.step(np.zeros(7))
    with pytest.raises(UsageError, match="only solved episodes"):
        recorder.finish()
    env.close()
