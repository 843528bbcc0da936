"""LIBERO's physics, bit for bit, at the cost of its physics.

The plain loop is `env.reset(); env.set_init_state(s); env.step(a)` of hf-libero 0.1.4 over
robosuite 1.4.0 and MuJoCo 3.2.3. What is left out here changes no bit: recompiling the scene at a
reset, the second and third pass over positions and velocities in each physics step, sensors,
observables.
What looks redundant and is kept: MuJoCo 3.2.3 stores the constraint solver's result for the next
warm start at every forward pass, not only in a step, so that the solver has to run as often as
upstream runs it, from the reset on.
"""

from collections.abc import Callable

import mujoco
import numpy as np
from numpy.typing import NDArray

from sfbench.errors import SystemFaultError

from .goal import Goal, joints_pass
from .osc import STATE_SIZE, SUBSTEPS, ArmController
from .osc_kernels import Array
from .placing import Draw
from .scene_spec import SceneSpec

_SEEN_BEFORE = 23
"""Upstream's clock samples observations after physics step 24 of 25, when positions in the world
are those of the step before: of the joint positions that 23 steps have led to."""

_DIVERGED = (
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
)


class Simulation:
    """One scene's model and data, and the controller in it.

    Attributes:
        model: as compiled, except for fixtures' poses and lights, which belong to the episode.
        data: as upstream's after the same calls.
        spec: the scene's.
        controller: the arm's.
        seen_qpos: the joint positions whose scene an observation shows, [nq].
        reported_qpos: the joint positions that it reports, one physics step later, [nq].
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        spec: SceneSpec,
        controller: type[ArmController] = ArmController,
    ) -> None:
        # Nobody reads the gripper's force sensor; physics does not depend on it.
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_SENSOR
        self.model, self.spec = model, spec
        self.data = mujoco.MjData(model)
        self.seen_qpos, self.reported_qpos = np.zeros(model.nq), np.zeros(model.nq)
        self.controller = controller(model, self.data, spec.robot)
        self._goal = Goal(spec.goal, self.data, model.ngeom)
        self._compiled = [array.copy() for array in self._episode_arrays()]
        self._is_fresh = True

    def reset(self, draw: Callable[[], Draw]) -> Draw:
        """Upstream's `env.reset()`: the robot at its start, everything else where `draw` says.

        Args:
            draw: called with the robot in place and fixtures as compiled; may write joint
                positions into the data.
        """
        model, data = self.model, self.data
        self.clear()
        # Each of these passes leaves a warm start for the next.
        mujoco.mj_forward(model, data)
        mujoco.mj_forward(model, data)
        self.place_arm()
        mujoco.mj_forward(model, data)
        mujoco.mj_forward(model, data)
        self.controller.restart()
        self.place_fingers()
        drawn = draw()
        drawn.write(self.spec, model, data)
        mujoco.mj_forward(model, data)
        self._is_fresh = True
        return drawn

    def clear(self) -> None:
        """The data of a new simulation, fixtures and lights as compiled."""
        mujoco.mj_resetData(self.model, self.data)
        for array, compiled in zip(self._episode_arrays(), self._compiled, strict=True):
            array[:] = compiled

    def place_arm(self) -> None:
        """The arm at its start posture."""
        self.data.qpos[list(self.spec.robot.arm_qpos)] = self.spec.robot.arm_start

    def place_fingers(self) -> None:
        """The fingers at their start."""
        self.data.qpos[list(self.spec.robot.gripper_qpos)] = self.spec.robot.gripper_start

    def start_from(self, state: NDArray[np.float64]) -> None:
        """Upstream's `env.set_init_state(state)`, after a reset.

        Args:
            state: [1 + nq + nv]: time, joint positions, velocities.
        """
        model, data = self.model, self.data
        data.time = state[0]
        data.qpos[:] = state[1 : 1 + model.nq]
        data.qvel[:] = state[1 + model.nq :]
        mujoco.mj_forward(model, data)
        self.seen_qpos[:] = self.reported_qpos[:] = data.qpos
        self._update_lights()

    def step(self, action: NDArray[np.float64]) -> None:
        """Upstream's `env.step(action)`.

        Raises:
            SystemFaultError: the simulation diverged.
        """
        model, data, qpos = self.model, self.data, self.data.qpos
        controller, solve = self.controller, mujoco.mj_fwdConstraint
        for substep in range(SUBSTEPS):
            if substep == _SEEN_BEFORE:
                self.seen_qpos[:] = qpos
            elif substep == SUBSTEPS - 1:
                self.reported_qpos[:] = qpos
            mujoco.mj_step1(model, data)
            # Upstream's forward passes under the controls of the step before, for the warm start.
            mujoco.mj_fwdActuation(model, data)
            mujoco.mj_fwdAcceleration(model, data)
            solve(model, data)
            if self._is_fresh:
                self._is_fresh = False
            else:
                solve(model, data)
                controller.look()
            if substep == 0:
                controller.set_goal(action)
            controller.apply(substep)
            mujoco.mj_step2(model, data)
        self._check()
        self._update_lights()

    def solved(self) -> bool:
        """Whether the task's goal holds."""
        return self._goal.reached()

    def get_state(self) -> Array:
        """All that the future depends on, flat, within the episode."""
        data = self.data
        parts = (
            [data.time, float(self._is_fresh)],
            data.qpos,
            data.qvel,
            data.qacc_warmstart,
            data.ctrl,
            self.reported_qpos,
            self.seen_qpos,
            self.controller.get_state(),
        )
        return np.concatenate([np.asarray(part, np.float64) for part in parts])

    def set_state(self, state: Array) -> None:
        """Restore what `get_state` gave."""
        model, data = self.model, self.data
        sizes = [2, model.nq, model.nv, model.nv, model.nu, model.nq, model.nq, STATE_SIZE]
        if state.shape != (sum(sizes),):
            raise ValueError(f"a state of this scene has {sum(sizes)} numbers, got {state.shape}")
        parts = np.split(state, np.cumsum(sizes)[:-1])
        (data.time, fresh), qpos, data.qvel[:], data.qacc_warmstart[:], data.ctrl[:] = parts[:5]
        self.reported_qpos[:], self.seen_qpos[:] = parts[5:7]
        self.controller.set_state(parts[7])
        self._is_fresh = bool(fresh)
        # Positions in the world and contacts are one physics step older than joint positions.
        data.qpos[:] = self.reported_qpos
        mujoco.mj_fwdPosition(model, data)
        data.qpos[:] = qpos
        self._update_lights()

    def _episode_arrays(self) -> tuple[NDArray[np.floating], ...]:
        return self.model.body_pos, self.model.body_quat, self.model.site_rgba

    def _update_lights(self) -> None:
        for light in self.spec.lights:
            rgba = self.model.site_rgba[light.site]
            if joints_pass(light.lit, self.data.qpos) != (rgba[3] > 0):
                rgba[3] = 1 - rgba[3]

    def _check(self) -> None:
        for warning in _DIVERGED:
            if self.data.warning[warning].number:
                raise SystemFaultError(f"the simulation diverged ({warning.name})")
