"""Forward and inverse kinematics of one Panda, in its base frame, without dynamics."""

from dataclasses import dataclass
from functools import cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..mjcf import Mjcf
from ..pose import Array, Pose
from . import panda

# Damping is this plus the squared error, so that the last iterations are Newton's.
_DAMPING = 1e-4
_POSTURE_GAIN = 0.05
_MAX_TURN = 0.35
"""Largest change of a joint in one iteration, rad; keeps the linearisation honest."""


@dataclass(frozen=True, slots=True)
class Solution:
    """Joint angles and how far they miss the target."""

    qpos: Array
    error_m: float
    error_rad: float

    def reaches(self, tolerance_m: float = 2e-3, tolerance_rad: float = 0.02) -> bool:
        """Whether the target was met."""
        return self.error_m < tolerance_m and self.error_rad < tolerance_rad


class ArmKinematics:
    """Damped least squares on the seven joints, drawn towards a posture in the free direction.

    Method: Levenberg-Marquardt with error-proportional damping (Sugihara, "Solvability-unconcerned
    inverse kinematics by the Levenberg-Marquardt method", IEEE T-RO 2011). A result depends on the
    arguments alone.
    """

    def __init__(self) -> None:
        model = Mjcf.empty("panda_chain")
        model.section("compiler").set("angle", "radian")
        model.section("worldbody").append(panda.bare_arm())
        self._model = model.compile()
        self._data = mujoco.MjData(self._model)
        self._tcp = self._model.site("tcp").id
        self._jacobian = np.zeros((6, self._model.nv))
        low, high = panda.limits()
        margin = 0.02
        self.low: Array = np.asarray(low) + margin
        self.high: Array = np.asarray(high) - margin
        self.posture: Array = np.asarray(panda.HOME_QPOS)

    def forward(self, qpos: Array) -> Pose:
        """The tool's pose in the base frame for seven joint angles."""
        self._place(qpos)
        matrix = self._data.site_xmat[self._tcp].reshape(3, 3)
        return Pose.from_matrix(self._data.site_xpos[self._tcp].copy(), matrix)

    def limit_share(self, qpos: Array) -> float:
        """How near the worst joint is to a limit: 0 in the middle of its range, 1 at the limit."""
        middle, span = (self.low + self.high) / 2, (self.high - self.low) / 2
        return float(np.max(np.abs(qpos - middle) / span))

    def solve(self, target: Pose, start: Array, iterations: int = 10) -> Solution:
        """Joint angles near `start` that bring the tool to `target` (base frame)."""
        qpos = np.clip(start, self.low, self.high)
        goal = target.matrix()
        error_m = error_rad = np.inf
        for iteration in range(iterations):
            error = self._error(qpos, target.pos, goal)
            error_m = float(np.linalg.norm(error[:3]))
            error_rad = float(np.linalg.norm(error[3:]))
            if error_m < 1e-5 and error_rad < 1e-4:
                break
            qpos = np.clip(qpos + self._step(qpos, error, iteration), self.low, self.high)
        else:
            error = self._error(qpos, target.pos, goal)
            error_m = float(np.linalg.norm(error[:3]))
            error_rad = float(np.linalg.norm(error[3:]))
        return Solution(qpos, error_m, error_rad)

    def _place(self, qpos: Array) -> None:
        self._data.qpos[:7] = qpos
        mujoco.mj_kinematics(self._model, self._data)

    def _error(self, qpos: Array, pos: Array, goal: NDArray[np.float64]) -> Array:
        self._place(qpos)
        turn = goal @ self._data.site_xmat[self._tcp].reshape(3, 3).T
        return np.concatenate([pos - self._data.site_xpos[self._tcp], rotation_vector(turn)])

    def _step(self, qpos: Array, error: Array, iteration: int) -> Array:
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(
            self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._tcp
        )
        jac = self._jacobian[:, :7]
        gram = jac @ jac.T + (_DAMPING + float(error @ error)) * np.eye(6)
        # Only once a call: pulling at every iteration would keep the rest from converging.
        pull = (_POSTURE_GAIN if iteration == 0 else 0.0) * (self.posture - qpos)
        step = pull + jac.T @ np.linalg.solve(gram, error - jac @ pull)
        largest = float(np.abs(step).max())
        return np.asarray(step * min(1.0, _MAX_TURN / max(largest, 1e-12)))


def rotation_vector(matrix: NDArray[np.float64]) -> Array:
    """Axis times angle (0 to pi) of a rotation matrix."""
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(matrix).reshape(9))
    vector = np.empty(3)
    mujoco.mju_quat2Vel(vector, quat, 1.0)
    return vector


@cache
def arm_kinematics() -> ArmKinematics:
    """The process's solver; it keeps no state between calls."""
    return ArmKinematics()
