"""Tool poses for grasping and touching."""

import numpy as np

from ..pose import Array, Pose


def pointing(approach: Array, fingers: Array) -> Array:
    """The orientation whose z axis is `approach` and whose y axis lies closest to `fingers`."""
    z_axis = np.asarray(approach, np.float64) / np.linalg.norm(approach)
    y_axis = np.asarray(fingers, np.float64) - z_axis * float(z_axis @ np.asarray(fingers))
    y_axis /= np.linalg.norm(y_axis)
    matrix = np.stack([np.cross(y_axis, z_axis), y_axis, z_axis], axis=1)
    return Pose.from_matrix(np.zeros(3), matrix).quat


def downward(pos: Array, finger_yaw_rad: float) -> Pose:
    """Tool straight down at `pos`, the fingers' line turned by the angle from the x axis."""
    fingers = np.array([np.cos(finger_yaw_rad), np.sin(finger_yaw_rad), 0.0])
    return Pose.of(pos, pointing(np.array([0.0, 0.0, -1.0]), fingers))


def downward_options(pos: Array, finger_yaw_rad: float, turns: int) -> list[Pose]:
    """The equal grasps of a shape that looks the same `turns` times in a full turn."""
    step = 2 * np.pi / turns
    return [downward(pos, finger_yaw_rad + step * index) for index in range(turns)]
