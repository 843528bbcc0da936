"""Depth, labels and camera matrices, collected in the suite that gives them."""

from pathlib import Path

import numpy as np
from sfbench_suites.robotwin.config import RobotwinConfig
from sfbench_suites.robotwin.suite import RobotwinSuite

from sfbench.contracts import PrivilegedEnv, Split
from sfbench.demos.check import find_damage
from sfbench.demos.dataset import open_dataset
from sfbench.demos.loader import DemoLoader, LoaderSettings
from tests.conftest import Cli

CAMERA = "head_camera"
KINDS = ("depth_m", "segmentation", "intrinsics", "to_world")


def test_extras_describe_the_frames_that_they_stand_by(cli: Cli, tmp_path: Path) -> None:
    done = cli(
        "collect",
        "suite=robotwin_clean",
        "policy=expert",
        "tasks=[click_bell]",
        "episodes=1",
        f"cameras=[{CAMERA}]",
        "depth=true",
        "segmentation=true",
        "matrices=true",
        "sim_states=true",
        "suite.camera_width=32",
        "suite.camera_height=24",
        "workers=0",
        "out=set",
    )
    assert done.returncode == 0, done.stderr
    dataset = open_dataset(tmp_path / "set")
    assert not find_damage(dataset)
    names = tuple(f"{kind}/{CAMERA}" for kind in KINDS)
    assert dataset.spec.extras == (*names, "sim_state")
    config = RobotwinConfig(camera_width=32, camera_height=24)
    env = RobotwinSuite(config).make_env("click_bell", Split.TRAIN)
    assert isinstance(env, PrivilegedEnv)
    info = dataset.episodes[0]
    assert info.init_state is not None
    env.reset(info.init_state, 0)
    settings = LoaderSettings(batch_size=3, chunk_steps=1, extras=(*names, "sim_state"))
    with DemoLoader(dataset, settings) as loader:
        batch = next(loader)
    for row in range(3):
        env.set_state(batch.extras["sim_state"][row])
        depth_m = batch.extras[names[0]][row]
        np.testing.assert_allclose(depth_m, env.depth_m([CAMERA])[CAMERA], atol=0.00051)
        labels = batch.extras[names[1]][row]
        np.testing.assert_array_equal(labels, env.segmentation([CAMERA])[CAMERA])
        matrices = env.camera_matrices([CAMERA])[CAMERA]
        np.testing.assert_array_equal(batch.extras[names[2]][row], matrices.intrinsics)
        np.testing.assert_array_equal(batch.extras[names[3]][row], matrices.to_world)
        np.testing.assert_array_equal(
            batch.images[CAMERA][row], env.observe([CAMERA]).images[CAMERA]
        )
    env.close()
