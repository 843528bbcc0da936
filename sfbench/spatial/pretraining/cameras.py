"""Random cameras around what a suite's own cameras look at.

The frame is that of the suite's camera matrices, z up; cameras are OpenCV's: x right, y down, z
ahead.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import PrivilegedEnv

_FOVY_DEG = (28.0, 80.0)
_DISTANCE_M = (0.35, 1.6)
_ELEVATION_DEG = (15.0, 75.0)
_ROLL_DEG = 15.0
_SCATTER_M = 0.08
"""Standard deviation of what the views of a scene look at, about their common point."""

Array = NDArray[np.float64]


def draw_focal(random: np.random.Generator, image_px: int) -> float:
    """A focal length in px; its logarithm is uniform.

    One zoom for all views of a scene: nothing else tells a single view whether it is near and wide
    or far and narrow.
    """
    low, high = (np.log(np.tan(np.deg2rad(angle) / 2)) for angle in _FOVY_DEG)
    return float(image_px / 2 / np.exp(random.uniform(low, high)))


def intrinsics(focal_px: float, image_px: int) -> Array:
    """Square pixels, the axis through the middle; [3, 3]."""
    middle = image_px / 2
    return np.array([[focal_px, 0, middle], [0, focal_px, middle], [0, 0, 1]])


def draw_pose(random: np.random.Generator, anchor_m: Array) -> Array:
    """A camera to world matrix [4, 4]: from anywhere above, looking about at the anchor."""
    azimuth = random.uniform(0, 2 * np.pi)
    elevation, roll = np.deg2rad([random.uniform(*_ELEVATION_DEG), random.normal(0, _ROLL_DEG)])
    distance_m = np.exp(random.uniform(*np.log(_DISTANCE_M)))
    target = anchor_m + random.normal(0, _SCATTER_M, 3)
    ahead = -np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    right = np.cross(ahead, (0, 0, 1))
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    turned = np.cos(roll) * right + np.sin(roll) * down
    pose = np.eye(4)
    pose[:3, :3] = np.stack([turned, np.cross(ahead, turned), ahead], axis=1)
    pose[:3, 3] = target - distance_m * ahead
    return pose


def visible_points(env: PrivilegedEnv, cameras: Sequence[str]) -> Array:
    """Points [N, 3] that cameras see in the middle half of their pictures, its nearer half."""
    depths, matrices = env.depth_m(cameras), env.camera_matrices(cameras)
    found = []
    for name in cameras:
        depth, camera = depths[name].astype(np.float64), matrices[name]
        height, width = depth.shape
        rows, columns = (
            grid.ravel()
            for grid in np.mgrid[
                height // 4 : height - height // 4, width // 4 : width - width // 4
            ]
        )
        z = depth[rows, columns]
        rays = np.linalg.inv(camera.intrinsics) @ [columns + 0.5, rows + 0.5, np.ones(len(z))]
        seen = np.isfinite(z) & (z <= np.median(z))
        points = (rays * z)[:, seen]
        found.append(points.T @ camera.to_world[:3, :3].T + camera.to_world[:3, 3])
    return np.concatenate(found)
