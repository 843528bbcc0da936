"""Operational space control, compiled.

The arithmetic is that of robosuite 1.4.0's `OperationalSpaceController` (Khatib, 1987), operation
by operation and with the same memory order of every matrix, because BLAS and LAPACK round
differently for another order. What robosuite computes in Numba is computed in Numba here; the
products that it takes in NumPy, which may carry another BLAS, stay with the caller (`osc.py`).

Arrays that the kernels share (float64; matrices in Fortran order unless marked C):

    arm [32]            grip position 0:3, matrix 3:12, linear and angular velocity 12:18,
                        joint angles 18:25, joint velocities 25:32
    goal [19]           position 0:3, matrix 3:12, joint angles at rest 12:19
    jacobian [6, nv] C  of the grip, linear then angular, over the whole scene
    arm_jacobian [6, 7] the arm's columns of it
    mass [7, 7]         the arm's block of the mass matrix
    inertia [3, 3, 2]   task-space inertia: linear, angular
    nullspace [7, 7] C  projects joint torques to where they do not move the grip
    drive [6]           desired force and torque, before the inertia is applied
    places int [56]     the arm's columns 0:7; then for each entry of `mass`, row by row, its place
                        in MuJoCo's sparse matrix, or -1 for a zero
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .jit import kernels_cached
from .locks import locked

Array = NDArray[np.float64]

KP = 150.0
"""Stiffness, equal for position and rotation; damping is critical."""
_KD = 2 * np.sqrt(KP)
_REST_KP = 10
_VECTOR, _F, _C = "float64[::1]", "float64[::1, :]", "float64[:, ::1]"
_SIGNATURES = {
    "rotation_matrix": f"float64[:, ::1]({_VECTOR})",
    "gather": f"void(UniTuple({_VECTOR}, 4), {_C}, {_VECTOR}, int64[::1], {_VECTOR}, {_F}, {_F})",
    "task_space": f"void({_VECTOR}, {_VECTOR}, {_F}, {_F}, float64[::1, :, :], {_C}, {_VECTOR})",
    "joint_torques": f"void({_VECTOR}, {_VECTOR}, {_F}, {_C}, {_VECTOR}, {_C})",
}
_TINY = float(np.finfo(float).eps * 4.0)


@dataclass(frozen=True, slots=True)
class Kernels:
    """The compiled functions; see those of the same name below."""

    rotation_matrix: Callable[[Array], Array]
    gather: Callable[..., None]
    task_space: Callable[[Array, Array, Array, Array, Array, Array, Array], None]
    joint_torques: Callable[[Array, Array, Array, Array, Array, Array], None]


@cache
def kernels() -> Kernels:
    """Compile them, or load them from the cache folder."""
    import numba

    # Compiling takes seconds: of several processes that start at once, the first does it.
    with locked("kernels"), kernels_cached():
        return Kernels(
            **{
                name: numba.njit(signature, cache=True)(globals()[f"_{name}"])
                for name, signature in _SIGNATURES.items()
            }
        )


def _rotation_matrix(quat_xyzw: Array) -> Array:
    """Matrix [3, 3] of a quaternion, which is first rounded to single precision, as upstream."""
    order = np.array([3, 0, 1, 2])
    q = quat_xyzw.copy().astype(np.float32)[order]
    norm = np.dot(q, q)
    if norm < _TINY:
        return np.identity(3)
    q *= math.sqrt(2.0 / norm)
    p = np.outer(q, q)
    return np.array(
        [
            [1.0 - p[2, 2] - p[3, 3], p[1, 2] - p[3, 0], p[1, 3] + p[2, 0]],
            [p[1, 2] + p[3, 0], 1.0 - p[1, 1] - p[3, 3], p[2, 3] - p[1, 0]],
            [p[1, 3] - p[2, 0], p[2, 3] + p[1, 0], 1.0 - p[1, 1] - p[2, 2]],
        ]
    )


def _gather(
    pose: tuple[Array, Array, Array, Array],
    jacobian: Array,
    sparse_mass: Array,
    places: NDArray[np.int64],
    arm: Array,
    arm_jacobian: Array,
    mass: Array,
) -> None:
    """Fill `arm` (but for the grip's velocity), `arm_jacobian` and `mass`.

    `pose` is the grip's position [3] and matrix [9], the arm's joint angles [7] and velocities [7].
    """
    arm[:3] = pose[0]
    arm[3:12] = pose[1]
    arm[18:25] = pose[2]
    arm[25:] = pose[3]
    for j in range(7):
        column = places[j]
        for i in range(6):
            arm_jacobian[i, j] = jacobian[i, column]
        for i in range(7):
            place = places[7 + 7 * i + j]
            mass[i, j] = sparse_mass[place] if place >= 0 else 0.0


def _task_space(
    arm: Array,
    goal: Array,
    arm_jacobian: Array,
    mass: Array,
    inertia: Array,
    nullspace: Array,
    drive: Array,
) -> None:
    """Fill `inertia`, `nullspace` and `drive`."""
    linear, angular = np.empty((7, 3)).T, np.empty((7, 3)).T
    linear[:, :] = arm_jacobian[:3]
    angular[:, :] = arm_jacobian[3:]
    mass_inverse = np.linalg.inv(mass)
    all_inverse = np.dot(np.dot(arm_jacobian, mass_inverse), arm_jacobian.transpose())
    linear_inverse = np.dot(np.dot(linear, mass_inverse), linear.transpose())
    angular_inverse = np.dot(np.dot(angular, mass_inverse), angular.transpose())
    # The pseudo-inverse drops directions in which the arm cannot move.
    all_inertia = np.linalg.pinv(all_inverse)
    inertia[:, :, 0] = np.linalg.pinv(linear_inverse)
    inertia[:, :, 1] = np.linalg.pinv(angular_inverse)
    spread = np.dot(mass_inverse, arm_jacobian.transpose()).dot(all_inertia)
    nullspace[:, :] = np.eye(7, 7) - np.dot(spread, arm_jacobian)

    for i in range(3):
        drive[i] = (goal[i] - arm[i]) * KP + (-arm[12 + i]) * _KD
        j, k = (i + 1) % 3, (i + 2) % 3
        # Half the sum over columns c of (current column c) x (desired column c).
        turn = 0.0
        for c in range(3):
            now_j, now_k = arm[3 + 3 * j + c], arm[3 + 3 * k + c]
            want_j, want_k = goal[3 + 3 * j + c], goal[3 + 3 * k + c]
            product = now_j * want_k - now_k * want_j
            turn = product if c == 0 else turn + product
        drive[3 + i] = 0.5 * turn * KP + (-arm[15 + i]) * _KD


def _joint_torques(
    arm: Array, goal: Array, mass: Array, nullspace: Array, torques: Array, limits: Array
) -> None:
    """Add to `torques` [7] the pull towards the rest posture, and clip them to `limits` [2, 7]."""
    damping = np.sqrt(_REST_KP) * 2
    pull = np.dot(mass, _REST_KP * (goal[12:] - arm[18:25]) - damping * arm[25:])
    torques += np.dot(nullspace.transpose(), pull)
    for i in range(7):
        torques[i] = min(max(torques[i], limits[0, i]), limits[1, i])
