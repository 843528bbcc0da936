"""The arm's controller: 6-D pose changes in, joint torques out, at every physics step."""

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from .osc_kernels import Array, kernels
from .scene_spec import RobotSpec

SUBSTEPS = 25
"""Physics steps (2 ms) in a control step (50 ms)."""

STATE_SIZE = 144
"""Numbers in `ArmController.get_state`."""

_UNIT = np.array([0.05, 0.05, 0.05, 0.5, 0.5, 0.5])
"""What 1 means in an action: m, and rad."""
_FINGER_STEP = 0.01
"""How far the fingers' set-points move in one physics step, of a range of -1 to 1."""


class ArmController:
    """Operational space control of one arm and its gripper, over one model and its data.

    What it knows of the arm is a snapshot, taken by `look`. In the first physics step of an episode
    that is the pose of the reset, not of the initial state: upstream's cache is stale there.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, robot: RobotSpec) -> None:
        self._model, self._data, self._site = model, data, robot.grip_site
        self._kernels = kernels()
        self._arm, self._goal, self._fingers = np.zeros(32), np.zeros(19), np.zeros(2)
        self._jacobian = np.zeros((6, model.nv))
        self._arm_jacobian = np.zeros((6, 7), order="F")
        self._mass = np.zeros((7, 7), order="F")
        self._inertia = np.zeros((3, 3, 2), order="F")
        self._nullspace = np.zeros((7, 7))
        self._drive, self._wrench = np.zeros(6), np.zeros(6)
        self._places = _places(model, robot)
        limits = model.actuator_ctrlrange[list(robot.arm_actuators)]
        self._limits = np.ascontiguousarray(limits.T)
        limits = model.actuator_ctrlrange[list(robot.gripper_actuators)]
        self._finger_middle = 0.5 * (limits[:, 1] + limits[:, 0])
        self._finger_reach = 0.5 * (limits[:, 1] - limits[:, 0])
        self._finger_ctrl = np.zeros((SUBSTEPS, 2))
        self._fetch_views(robot)

    def _fetch_views(self, robot: RobotSpec) -> None:
        """Views, fetched once: each access to MuJoCo's memory by name costs a microsecond."""
        data = self._data
        self._qvel, self._sparse_mass = data.qvel, data.qM
        self._pose = (
            data.site_xpos[robot.grip_site],
            data.site_xmat[robot.grip_site],
            data.qpos[_slice(robot.arm_qpos)],
            data.qvel[_slice(robot.arm_qvel)],
        )
        self._arm_bias = data.qfrc_bias[_slice(robot.arm_qvel)]
        self._arm_ctrl = data.ctrl[_slice(robot.arm_actuators)]
        self._gripper_ctrl = data.ctrl[_slice(robot.gripper_actuators)]
        self._jacobian_pos, self._jacobian_rot = self._jacobian[:3], self._jacobian[3:]
        self._to_joints = self._arm_jacobian.T
        self._inertia_pos, self._inertia_rot = self._inertia[:, :, 0], self._inertia[:, :, 1]
        self._drive_pos, self._drive_rot = self._drive[:3], self._drive[3:]
        self._wrench_pos, self._wrench_rot = self._wrench[:3], self._wrench[3:]
        self._velocity_pos, self._velocity_rot = self._arm[12:15], self._arm[15:18]

    def restart(self) -> None:
        """Begin an episode: look, and take the present pose as goal and as rest posture."""
        self.look()
        self._goal[:12] = self._arm[:12]
        self._goal[12:] = self._arm[18:25]
        self._fingers[:] = 0.0

    def look(self) -> None:
        """Take the snapshot: pose, velocities, Jacobian, mass matrix."""
        mujoco.mj_jacSite(
            self._model, self._data, self._jacobian_pos, self._jacobian_rot, self._site
        )
        np.dot(self._jacobian_pos, self._qvel, out=self._velocity_pos)
        np.dot(self._jacobian_rot, self._qvel, out=self._velocity_rot)
        self._kernels.gather(
            self._pose,
            self._jacobian,
            self._sparse_mass,
            self._places,
            self._arm,
            self._arm_jacobian,
            self._mass,
        )

    def set_goal(self, action: NDArray[np.float64]) -> None:
        """Aim for a change of pose from the snapshot, and open or close the gripper.

        Args:
            action: [7], clipped to -1 to 1: displacement, axis-angle, gripper (its sign counts).
        """
        change = np.clip(action[:6], -1.0, 1.0) * _UNIT
        # Without a rotation the old goal is kept, so that the arm does not drift away from it.
        if any(not math.isclose(number, 0.0) for number in change[3:]):
            turn = self._kernels.rotation_matrix(_quat_of(change[3:]))
            now = self._arm[3:12].reshape(3, 3)
            self._goal[3:12] = np.dot(turn, now).reshape(9)
        self._goal[:3] = self._arm[:3] + change[:3]
        self._plan_fingers(float(np.sign(action[6])))

    def apply(self, substep: int) -> None:
        """Write this physics step's controls, from the snapshot and the goal."""
        self._kernels.task_space(
            self._arm,
            self._goal,
            self._arm_jacobian,
            self._mass,
            self._inertia,
            self._nullspace,
            self._drive,
        )
        np.dot(self._inertia_pos, self._drive_pos, out=self._wrench_pos)
        np.dot(self._inertia_rot, self._drive_rot, out=self._wrench_rot)
        torques = np.dot(self._to_joints, self._wrench)
        torques += self._arm_bias
        self._kernels.joint_torques(
            self._arm, self._goal, self._mass, self._nullspace, torques, self._limits
        )
        self._arm_ctrl[:] = torques
        self._gripper_ctrl[:] = self._finger_ctrl[substep]

    def controls(self) -> Array:
        """All controls as they are now, [nu]."""
        controls: Array = self._data.ctrl.copy()
        return controls

    def get_state(self) -> Array:
        """All that later steps depend on, flat [STATE_SIZE]: goal, fingers, snapshot."""
        parts = (self._goal, self._fingers, self._arm, self._arm_jacobian.T, self._mass.T)
        return np.concatenate([part.ravel() for part in parts])

    def set_state(self, state: Array) -> None:
        """Restore what `get_state` gave."""
        self._goal[:] = state[:19]
        self._fingers[:] = state[19:21]
        self._arm[:] = state[21:53]
        self._arm_jacobian.T[:] = state[53:95].reshape(7, 6)
        self._mass.T[:] = state[95:144].reshape(7, 7)

    def _plan_fingers(self, direction: float) -> None:
        left, right = self._fingers.tolist()
        path = []
        for _ in range(SUBSTEPS):
            left = min(max(left - _FINGER_STEP * direction, -1.0), 1.0)
            right = min(max(right + _FINGER_STEP * direction, -1.0), 1.0)
            path.append((left, right))
        self._fingers[:] = left, right
        self._finger_ctrl[:] = self._finger_middle + self._finger_reach * np.array(path)


def _quat_of(axis_angle: Array) -> Array:
    """Quaternion xyzw of a rotation vector in rad."""
    angle = np.linalg.norm(axis_angle)
    if math.isclose(angle, 0.0):
        return np.array([0.0, 0.0, 0.0, 1.0])
    quat = np.zeros(4)
    quat[3] = np.cos(angle / 2.0)
    quat[:3] = axis_angle / angle * np.sin(angle / 2.0)
    return quat


def _slice(places: tuple[int, ...]) -> slice:
    """Consecutive places as a slice, which gives a view."""
    start, stop = places[0], places[-1] + 1
    if places != tuple(range(start, stop)):
        raise NotImplementedError(f"the robot's places {places} are not consecutive")
    return slice(start, stop)


def _places(model: mujoco.MjModel, robot: RobotSpec) -> NDArray[np.int64]:
    """The kernels' `places`. MuJoCo's qM holds each velocity's row up the kinematic tree."""
    row_of = {}
    for i in range(model.nv):
        place, j = int(model.dof_Madr[i]), i
        while j >= 0:
            row_of[i, j] = row_of[j, i] = place
            place, j = place + 1, int(model.dof_parentid[j])
    arm = robot.arm_qvel
    entries = [row_of.get((i, j), -1) for i in arm for j in arm]
    return np.array([*arm, *entries], dtype=np.int64)
