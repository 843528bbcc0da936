"""A running scene: poses in the table frame, contacts, grippers, and the servos' targets."""

from collections.abc import Mapping
from functools import cached_property

import mujoco
import numpy as np

from ..pose import Array, Pose
from ..robot.panda import FINGER_TRAVEL_M, HOME_QPOS, JOINTS, Side
from .room import TABLE_TOP_M

_UP = np.array([0.0, 0.0, TABLE_TOP_M])


class Scene:
    """One MjData with name look-ups. Everything geometric is in the table frame, in m.

    MuJoCo leaves positions and contacts of the last substep's start behind a step; `refresh`
    brings them up to date, without touching anything that later steps read.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self.data = mujoco.MjData(model)
        self._fresh = False
        self._arm_qpos = {
            side: np.array([model.joint(f"{side}_{name}").qposadr[0] for name in JOINTS])
            for side in Side
        }
        self._arm_ctrl = {
            side: np.array([model.actuator(f"{side}_{name}").id for name in JOINTS])
            for side in Side
        }
        self._grip_ctrl = {side: int(model.actuator(f"{side}_grip").id) for side in Side}
        self._finger_qpos = {
            side: np.array([model.joint(f"{side}_finger_joint{i}").qposadr[0] for i in (1, 2)])
            for side in Side
        }

    @property
    def rise_m(self) -> float:
        """How much higher than usual the arms stand above the table."""
        return float(self.model.body(f"{Side.LEFT}_link0").pos[2]) - TABLE_TOP_M

    # -- the robot ----------------------------------------------------------------------------

    def arm_qpos(self, side: Side) -> Array:
        """Seven joint angles, rad."""
        return np.asarray(self.data.qpos[self._arm_qpos[side]])

    def arm_target(self, side: Side) -> Array:
        """The servos' seven targets, rad."""
        return np.asarray(self.data.ctrl[self._arm_ctrl[side]])

    def opening(self, side: Side) -> float:
        """Gripper opening, 0 closed to 1 open."""
        # The fingers' end stops are springs: without a bound the number strays past them by 1e-4.
        share = float(self.data.qpos[self._finger_qpos[side]].mean() / FINGER_TRAVEL_M)
        return min(max(share, 0.0), 1.0)

    def grip_target(self, side: Side) -> float:
        """The gripper servo's target, 0 closed to 1 open."""
        return float(self.data.ctrl[self._grip_ctrl[side]]) / FINGER_TRAVEL_M

    def command(self, side: Side, qpos: Array, opening: float) -> None:
        """Set an arm's servo targets."""
        self.data.ctrl[self._arm_ctrl[side]] = qpos
        self.data.ctrl[self._grip_ctrl[side]] = opening * FINGER_TRAVEL_M

    def tcp(self, side: Side) -> Pose:
        """The point between the fingertips: z is the approach axis, y the fingers' line."""
        self.refresh()
        site = self.data.site(f"{side}_tcp")
        return Pose.from_matrix(site.xpos - _UP, site.xmat)

    def tool_speed(self, side: Side) -> float:
        """Speed of the point between the fingertips, m/s."""
        self.refresh()
        jacobian = np.zeros((3, self.model.nv))
        site = int(self.model.site(f"{side}_tcp").id)
        mujoco.mj_jacSite(self.model, self.data, jacobian, None, site)
        return float(np.linalg.norm(jacobian @ self.data.qvel))

    # -- the objects --------------------------------------------------------------------------

    def pose(self, body: str) -> Pose:
        """A body's pose."""
        self.refresh()
        found = self.data.body(body)
        return Pose(found.xpos - _UP, found.xquat.copy())

    def joint(self, name: str) -> float:
        """A hinge's angle or a slide's displacement."""
        return float(self.data.joint(name).qpos[0])

    def speed(self, body: str) -> float:
        """Linear speed of a free body, m/s."""
        return float(np.linalg.norm(self.data.joint(f"{body}_free").qvel[:3]))

    def contacts(self, first: str, second: str) -> list[Array]:
        """Points where two bodies (with all that hangs on them) touch."""
        self.refresh()
        one, two = self._subtree(first), self._subtree(second)
        points = []
        for contact in self.data.contact[: self.data.ncon]:
            bodies = self.model.geom_bodyid[contact.geom]
            pair = (int(bodies[0]), int(bodies[1]))
            forward = pair[0] in one and pair[1] in two
            if contact.dist <= 0 and (forward or (pair[0] in two and pair[1] in one)):
                points.append(contact.pos - _UP)
        return points

    def touches(self, side: Side, body: str) -> bool:
        """Whether a finger of that arm touches the body."""
        return any(self.contacts(f"{side}_finger{index}", body) for index in (1, 2))

    def holds(self, side: Side, body: str) -> bool:
        """Whether both fingers of that arm touch the body."""
        return all(self.contacts(f"{side}_finger{index}", body) for index in (1, 2))

    # -- state --------------------------------------------------------------------------------

    def reset(self, layout: dict[str, Pose]) -> None:
        """Arms home, grippers open, objects as laid out, everything at rest."""
        mujoco.mj_resetData(self.model, self.data)
        home = np.asarray(HOME_QPOS)
        for side in Side:
            self.data.qpos[self._arm_qpos[side]] = home
            self.data.qpos[self._finger_qpos[side]] = FINGER_TRAVEL_M
            self.command(side, home, 1.0)
        for body, pose in layout.items():
            self._place(body, pose)
        self._fresh = False
        self.refresh()

    def step(self, substeps: int) -> None:
        """Advance the physics."""
        mujoco.mj_step(self.model, self.data, nstep=substeps)
        self._fresh = False

    def step_pushed(self, substeps: int, offsets: Mapping[Side, Array]) -> None:
        """Advance the physics with servos that miss their joint targets by some offsets (rad)."""
        wanted = self.data.ctrl.copy()
        for side, offset in offsets.items():
            self.data.ctrl[self._arm_ctrl[side]] += offset
        self.step(substeps)
        # Controls start from the targets, which the pushes are no part of.
        self.data.ctrl[:] = wanted

    def refresh(self) -> None:
        """Bring positions and contacts up to date with the joint positions."""
        if self._fresh:
            return
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        mujoco.mj_collision(self.model, self.data)
        self._fresh = True

    def get_state(self) -> Array:
        """All that the physics depends on."""
        state = np.empty(self._state_size)
        mujoco.mj_getState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        return state

    def set_state(self, state: Array) -> None:
        """Restore what `get_state` gave."""
        mujoco.mj_setState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        self._fresh = False

    @cached_property
    def _state_size(self) -> int:
        return int(mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_INTEGRATION))

    def _place(self, body: str, pose: Pose) -> None:
        mocap = int(self.model.body(body).mocapid[0])
        if mocap >= 0:
            self.data.mocap_pos[mocap] = pose.pos + _UP
            self.data.mocap_quat[mocap] = pose.quat
        else:
            joint = self.data.joint(f"{body}_free")
            joint.qpos[:3] = pose.pos + _UP
            joint.qpos[3:] = pose.quat

    def _subtree(self, body: str) -> frozenset[int]:
        found = self._subtrees.get(body)
        if found is None:
            root = int(self.model.body(body).id)
            members = {root}
            for index in range(root + 1, self.model.nbody):
                if int(self.model.body_parentid[index]) in members:
                    members.add(index)
            found = self._subtrees[body] = frozenset(members)
        return found

    @cached_property
    def _subtrees(self) -> dict[str, frozenset[int]]:
        return {}
