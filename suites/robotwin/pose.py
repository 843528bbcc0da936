"""Position and orientation."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pose:
    """A rigid transform: `pos` [3] in m, `quat` [4] as wxyz, unit length."""

    pos: Array
    quat: Array

    @classmethod
    def of(cls, pos: ArrayLike, quat: ArrayLike = (1.0, 0.0, 0.0, 0.0)) -> "Pose":
        """From any sequences; the quaternion is normalised."""
        values = np.array(quat, np.float64)
        return cls(np.array(pos, np.float64), values / np.linalg.norm(values))

    @classmethod
    def from_matrix(cls, pos: ArrayLike, matrix: ArrayLike) -> "Pose":
        """From a position and a 3x3 rotation matrix."""
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, np.ascontiguousarray(matrix, np.float64).reshape(9))
        return cls(np.array(pos, np.float64), quat)

    def matrix(self) -> Array:
        """The 3x3 rotation matrix."""
        out = np.empty(9)
        mujoco.mju_quat2Mat(out, self.quat)
        return out.reshape(3, 3)

    def __matmul__(self, other: "Pose") -> "Pose":
        quat = np.empty(4)
        mujoco.mju_mulQuat(quat, self.quat, other.quat)
        return Pose(self.apply(other.pos), quat)

    def inverse(self) -> "Pose":
        """The transform that undoes this one."""
        quat = self.quat * np.array([1.0, -1.0, -1.0, -1.0])
        back = np.empty(3)
        mujoco.mju_rotVecQuat(back, self.pos, quat)
        return Pose(-back, quat)

    def apply(self, point: ArrayLike) -> Array:
        """A point of this frame, seen from outside."""
        out = np.empty(3)
        mujoco.mju_rotVecQuat(out, np.asarray(point, np.float64), self.quat)
        return self.pos + out

    def axis(self, index: int) -> Array:
        """Direction of the frame's x, y or z axis."""
        return self.matrix()[:, index]

    def yaw(self) -> float:
        """Angle of the x axis about z, rad."""
        x_axis = self.axis(0)
        return float(np.arctan2(x_axis[1], x_axis[0]))

    def raised(self, height_m: float) -> "Pose":
        """The same pose, higher."""
        return Pose(self.pos + up(height_m), self.quat)


def up(height_m: float) -> Array:
    """The vector straight up."""
    return np.array([0.0, 0.0, height_m])


def yaw_quat(angle_rad: float) -> Array:
    """A turn about z."""
    return np.array([np.cos(angle_rad / 2), 0.0, 0.0, np.sin(angle_rad / 2)])


def angle_between(first: Array, second: Array) -> float:
    """Angle between two orientations, rad, 0 to pi."""
    return float(2 * np.arccos(min(1.0, abs(float(first @ second)))))
