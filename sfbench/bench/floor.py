"""Bare MuJoCo doing the same work as an episode: the same physics steps and the same renders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import mujoco
import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Env, EnvSpec
from sfbench.errors import UsageError
from sfbench.sim.offscreen import OffscreenRenderer

_PHYSICS = mujoco.mjtState.mjSTATE_INTEGRATION


class MujocoEnv(Protocol):
    """What the floor needs of an Env besides the contract.

    Attributes:
        model: the compiled scene.
        data: its simulation state. Controls stay constant within a control step.
    """

    model: mujoco.MjModel
    data: mujoco.MjData


@dataclass(frozen=True, slots=True)
class Recording:
    """One episode as bare MuJoCo needs it.

    Attributes:
        start: integration state after reset.
        ctrl: controls [T, nu], one row a control step.
        substeps: physics steps per control step.
        final_qpos: where the episode ended; the floor has to end there too.
    """

    start: NDArray[np.float64]
    ctrl: NDArray[np.float64]
    substeps: int
    final_qpos: NDArray[np.float64]


def bare(env: Env) -> MujocoEnv:
    """The Env's model and data. Raises UsageError for an Env without them."""
    if not hasattr(env, "model") or not hasattr(env, "data"):
        raise UsageError(
            "this suite's Env has no `model` and `data`, so there is no bare MuJoCo to compare with"
        )
    return cast("MujocoEnv", env)


def record(env: Env, init_state: int, seed: int, actions: NDArray[np.float64]) -> Recording:
    """Play actions [T, A] in the Env and note what it asked of MuJoCo."""
    simulator = bare(env)
    env.reset(init_state, seed)
    model, data = simulator.model, simulator.data
    start = np.empty(mujoco.mj_stateSize(model, _PHYSICS))
    mujoco.mj_getState(model, data, start, _PHYSICS)
    ctrl, start_s = [], data.time
    for action in actions:
        env.step(action)
        ctrl.append(data.ctrl.copy())
    substeps = round((data.time - start_s) / model.opt.timestep / len(actions))
    return Recording(start, np.stack(ctrl), substeps, data.qpos.copy())


class Floor:
    """Plays recordings: `mj_step` and plain renders, nothing else."""

    def __init__(self, simulator: MujocoEnv, spec: EnvSpec, cameras: Sequence[str]) -> None:
        self._model = simulator.model
        self._data = mujoco.MjData(self._model)
        self._renderer = OffscreenRenderer(self._model) if cameras else None
        self._frames: list[tuple[int, NDArray[np.uint8]]] = []
        for name in cameras:
            camera = spec.camera(name)
            if camera is None:
                raise UsageError(f"camera '{name}': the suite lacks it")
            number = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_CAMERA, name)
            if number < 0:
                raise UsageError(f"camera '{name}' has another name in the model")
            self._frames.append((number, np.empty((camera.height, camera.width, 3), np.uint8)))

    def play(self, recording: Recording, chunk_steps: int) -> None:
        """One episode. Raises AssertionError if it does not end where the Env ended."""
        model, data = self._model, self._data
        mujoco.mj_setState(model, data, recording.start, _PHYSICS)
        mujoco.mj_forward(model, data)
        for step, ctrl in enumerate(recording.ctrl):
            if step % chunk_steps == 0:
                self._render()
            data.ctrl[:] = ctrl
            mujoco.mj_step(model, data, recording.substeps)
        assert np.array_equal(data.qpos, recording.final_qpos), "the floor did other physics"

    def close(self) -> None:
        """Free GL objects."""
        if self._renderer is not None:
            self._renderer.close()

    def _render(self) -> None:
        renderer: Any = self._renderer
        for number, frame in self._frames:
            renderer.rgb(self._data, number, frame)
