"""Depth, segmentation, camera matrices and poses agree with each other and with the images."""

import numpy as np
import pytest

from sfbench.contracts import PrivilegedEnv
from sfbench.errors import UnknownNameError

from .conftest import MakeEnv

CAMERAS = ["head_camera", "left_camera", "right_camera", "front_camera"]


def test_the_env_offers_it(make_env: MakeEnv) -> None:
    assert isinstance(make_env("stack_blocks_two"), PrivilegedEnv)


def test_every_pixel_of_the_table_lies_on_the_table(make_env: MakeEnv) -> None:
    """Depth, intrinsics and pose together give back the table's plane, in every camera."""
    env = make_env("stack_blocks_two")
    env.reset(0, seed=0)
    depths, labels = env.depth_m(CAMERAS), env.segmentation(CAMERAS)
    for name, camera in env.camera_matrices(CAMERAS).items():
        on_table = labels[name] == env.object_names().index("table")
        rows, columns = np.nonzero(on_table)
        pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
        rays = np.linalg.inv(camera.intrinsics) @ pixels
        points = rays * depths[name][on_table]
        world = camera.to_world[:3, :3] @ points + camera.to_world[:3, 3:]
        # The table's edges and legs are left out.
        top = (np.abs(world[0]) < 0.58) & (np.abs(world[1]) < 0.33) & (world[2] > -0.04)
        assert top.sum() > 0.7 * on_table.sum()
        assert np.abs(world[2][top]).max() < 1e-4


def test_objects_are_seen_where_their_poses_project(make_env: MakeEnv) -> None:
    env = make_env("stack_blocks_two")
    env.reset(0, seed=0)
    labels = env.segmentation(["head_camera"])["head_camera"]
    camera = env.camera_matrices(["head_camera"])["head_camera"]
    for name, pose in env.object_poses().items():
        np.testing.assert_allclose(pose[:3], env.scene.pose(name).pos)
        seen = camera.intrinsics @ (np.linalg.inv(camera.to_world) @ [*pose[:3], 1.0])[:3]
        column, row = (seen[:2] / seen[2]).astype(int)
        assert labels[row, column] == env.object_names().index(name)


def test_what_is_seen_is_named_and_far_things_have_no_depth(make_env: MakeEnv) -> None:
    env = make_env("click_bell")
    env.reset(0, seed=0)
    labels, depths = env.segmentation(CAMERAS), env.depth_m(CAMERAS)
    seen = set()
    for name in CAMERAS:
        camera = env.spec.camera(name)
        assert camera is not None
        assert labels[name].shape == depths[name].shape == (camera.height, camera.width)
        assert (labels[name].dtype, depths[name].dtype) == (np.int32, np.float32)
        np.testing.assert_array_equal(np.isinf(depths[name]), labels[name] == -1)
        assert depths[name].min() > 0.01
        seen |= {env.object_names()[index] for index in np.unique(labels[name]) if index >= 0}
    assert {"bell", "table", "floor", "left_arm", "right_arm"} <= seen


def test_asking_changes_nothing(make_env: MakeEnv) -> None:
    env = make_env("click_bell")
    env.reset(0, seed=0)
    before = env.get_state()
    image = env.observe(["head_camera"]).images["head_camera"]
    env.depth_m(CAMERAS)
    env.segmentation(CAMERAS)
    np.testing.assert_array_equal(env.get_state(), before)
    np.testing.assert_array_equal(env.observe(["head_camera"]).images["head_camera"], image)
    with pytest.raises(UnknownNameError, match="head_camera"):
        env.depth_m(["hand_camera"])
