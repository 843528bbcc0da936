"""Depth and camera matrices of a real suite, put together: all cameras see one table."""

import numpy as np
import torch

from sfbench.contracts import PrivilegedEnv, Split
from sfbench.registry import SuiteRecipe, find_suite
from sfbench.spatial.points import ViewMap, points_at, source_places

CAMERAS = ("head_camera", "left_camera", "right_camera")


def test_all_cameras_see_the_table_where_it_is() -> None:
    suite = SuiteRecipe("robotwin_clean", find_suite("robotwin_clean").config_class()()).build()
    env = suite.make_env("click_bell", Split.TRAIN)
    try:
        env.reset(0, 0)
        assert isinstance(env, PrivilegedEnv)
        depth, matrices = env.depth_m(CAMERAS), env.camera_matrices(CAMERAS)
    finally:
        env.close()
    extras: dict[str, np.ndarray] = {}
    for name in CAMERAS:
        extras[f"depth_m/{name}"] = depth[name][None]
        extras[f"intrinsics/{name}"] = matrices[name].intrinsics[None]
        extras[f"to_world/{name}"] = matrices[name].to_world[None]
    whole = [ViewMap((1.0, 1.0), (0.0, 0.0))] * len(CAMERAS)
    points = points_at(extras, CAMERAS, source_places(whole, None, (32, 32), 128))[0]
    for view, name in enumerate(CAMERAS):
        # The suite's frame has its origin in the middle of the table's top.
        heights = points[view, ..., 2]
        on_table = ((heights.abs() < 0.01) & torch.isfinite(heights)).float().mean()
        assert on_table > 0.5, name
