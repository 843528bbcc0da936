"""Meshes made here: surfaces of revolution."""

from collections.abc import Sequence

import numpy as np

from ..robot.decimation import Triangles


def lathe(profile: Sequence[tuple[float, float]], slices: int) -> Triangles:
    """The surface that a closed outline makes when it turns about z.

    Args:
        profile: (radius, height) in m, counter-clockwise seen with the radius to the right; the
            last point joins the first. Points on the axis have radius 0.
        slices: around the axis.
    """
    angles = 2 * np.pi * np.arange(slices + 1) / slices
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outline = np.asarray(profile, np.float64)
    # points[p, s]: profile point p at slice s.
    points = np.concatenate(
        [
            outline[:, None, :1] * ring[None],
            np.broadcast_to(outline[:, None, 1:], (len(outline), slices + 1, 1)),
        ],
        axis=2,
    )
    following = np.roll(points, -1, axis=0)
    a, b = points[:, :-1], points[:, 1:]
    c, d = following[:, :-1], following[:, 1:]
    soup = np.concatenate([np.stack([a, b, d], 2), np.stack([a, d, c], 2)], axis=0).reshape(
        -1, 3, 3
    )
    area = np.linalg.norm(np.cross(soup[:, 1] - soup[:, 0], soup[:, 2] - soup[:, 0]), axis=1)
    return np.asarray(soup[area > 1e-12])
