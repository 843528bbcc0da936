"""What the benchmark compares, each in a process of its own: `python -m ....bench_players SPEC`.

Reads one JSON line per order from stdin, answers with one on stdout. The first answer says that the
player is ready; `{"episodes": n}` plays n episodes; `{}` ends it.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Split
from sfbench.sim.gl import GlBackend, configure
from sfbench.sim.offscreen import OffscreenRenderer

from . import assets, scene_cache
from .catalog import LiberoTask, find_task
from .config import LiberoConfig
from .env import LiberoEnv
from .init_states import load
from .osc import SUBSTEPS, ArmController
from .reference import CAMERAS, PlainLoop
from .simulation import Simulation
from .starts import start_eval
from .suite import LiberoSuite

Array = NDArray[np.float64]

RENDER_PX = 256
SETTLE_STEPS = 10


class Kind(StrEnum):
    """Who plays."""

    PLAIN = "plain"
    """hf-libero as the OpenVLA-OFT evaluator drives it: reset, and two images every step."""
    GATED = "gated"
    """The same, but with images only where a policy reads them."""
    RESETS = "resets"
    """The plain loop's `reset` and `set_init_state`, and no step."""
    UNCULLED = "unculled"
    """The fast path with every geom drawn."""
    FAST = "fast"
    """This suite's Env; images where a policy reads them."""
    FLOOR = "floor"
    """Bare `mj_step` with the fast path's recorded controls, and as many images, unculled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerSpec:
    """One player.

    Attributes:
        kind: who plays.
        task: what.
        images: whether anything is drawn (the plain loop always draws).
        steps: control steps of an episode, after the settle steps.
        chunk_steps: control steps between two looks.
        cpu: the core that the player is tied to, or None.
        gl: backend.
    """

    kind: Kind
    task: str
    images: bool
    steps: int
    chunk_steps: int
    cpu: int | None
    gl: GlBackend


class Player(Protocol):
    """Plays episodes from the published initial states."""

    def play(self, index: int) -> None:
        """One whole episode."""


class _PlainPlayer:
    def __init__(self, task: LiberoTask, spec: PlayerSpec) -> None:
        self._loop = PlainLoop(assets.find().root, task.bddl_path, RENDER_PX)
        self._loop.env.seed(0)
        self._states, self._spec = load(task.init_states_path), spec

    def play(self, index: int) -> None:
        env, gated = self._loop.env, self._spec.kind is Kind.GATED
        self._loop.draw_images(True)
        env.reset()
        if gated:
            self._loop.gate_cameras()
            self._loop.draw_images(False)
        env.set_init_state(self._states[index])
        if self._spec.kind is Kind.RESETS:
            return
        settle = [[0, 0, 0, 0, 0, 0, -1]] * SETTLE_STEPS
        chunk_steps = self._spec.chunk_steps
        for step, action in enumerate(settle + actions(self._spec.steps, index).tolist()):
            # What the policy reads before its step 0 is drawn in the last settle step.
            ahead = step + 1 - SETTLE_STEPS
            looked_at = 0 <= ahead < self._spec.steps and ahead % chunk_steps == 0
            self._loop.draw_images(looked_at or not gated)
            env.step(action)


class _FastPlayer:
    def __init__(self, task: LiberoTask, spec: PlayerSpec) -> None:
        env = LiberoSuite(task.suite, LiberoConfig()).make_env(task.name, Split.EVAL)
        assert isinstance(env, LiberoEnv)
        env.viewer.culling.is_on &= spec.kind is Kind.FAST
        self._env, self._spec = env, spec

    def play(self, index: int) -> None:
        env, cameras = self._env, CAMERAS if self._spec.images else ()
        env.reset(index, index)
        for step, action in enumerate(actions(self._spec.steps, index)):
            if step % self._spec.chunk_steps == 0:
                env.observe(cameras)
            env.step(action)
            env.success()


class _FloorPlayer:
    """Records an episode when it is first asked for; only the replay is timed by the caller."""

    def __init__(self, task: LiberoTask, spec: PlayerSpec) -> None:
        scene = scene_cache.ensure([task], assets.find())[task.name]
        self._task, self._spec, self._scene = task, spec, scene
        self._model = scene.model()
        self._data = mujoco.MjData(self._model)
        self._recordings: dict[int, tuple[Array, Array, Array]] = {}
        self._frame = np.empty((RENDER_PX, RENDER_PX, 3), np.uint8)
        self._renderer = OffscreenRenderer(self._model) if spec.images else None
        if self._renderer is not None:
            self._renderer.option.geomgroup[0] = 0

    def prepare(self, index: int) -> None:
        simulation = Simulation(self._scene.model(), self._scene.spec(), _RecordingController)
        suite = LiberoSuite(self._task.suite, LiberoConfig())
        start_eval(simulation, self._task, index, index, suite.fixture_rule)
        controller = simulation.controller
        assert isinstance(controller, _RecordingController)
        state = mujoco.mjtState.mjSTATE_INTEGRATION
        start = np.empty(mujoco.mj_stateSize(simulation.model, state))
        mujoco.mj_getState(simulation.model, simulation.data, start, state)
        poses = np.hstack([simulation.model.body_pos, simulation.model.body_quat])
        settle = np.array([0.0, 0, 0, 0, 0, 0, -1])
        for action in [settle] * SETTLE_STEPS + list(actions(self._spec.steps, index)):
            simulation.step(action)
        self._recordings[index] = start, poses, np.array(controller.recorded)
        self.play(index)
        apart = float(np.abs(self._data.qpos - simulation.data.qpos).max())
        # Recorded torques do not correct what rounding grows to in 5 s of contacts.
        if apart > 0.05:
            raise RuntimeError(f"bare MuJoCo ended {apart} away from the fast path")

    def play(self, index: int) -> None:
        if index not in self._recordings:
            self.prepare(index)
        model, data = self._model, self._data
        start, poses, controls = self._recordings[index]
        model.body_pos[:], model.body_quat[:] = poses[:, :3], poses[:, 3:]
        mujoco.mj_setState(model, data, start, mujoco.mjtState.mjSTATE_INTEGRATION)
        looks = range(SETTLE_STEPS, SETTLE_STEPS + self._spec.steps, self._spec.chunk_steps)
        draw_at = {look * SUBSTEPS for look in looks}
        for count, ctrl in enumerate(controls):
            if count in draw_at:
                self._draw()
            data.ctrl[:] = ctrl
            mujoco.mj_step(model, data)

    def _draw(self) -> None:
        if self._renderer is not None:
            for camera in CAMERAS:
                self._renderer.rgb(self._data, self._model.camera(camera).id, self._frame)


class _RecordingController(ArmController):
    """Keeps a copy of the controls of every physics step."""

    recorded: list[Array]

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 (passed on)
        super().__init__(*arguments)
        self.recorded = []

    def apply(self, substep: int) -> None:
        super().apply(substep)
        self.recorded.append(self.controls())


def actions(steps: int, index: int) -> Array:
    """Smooth random motion [steps, 7]; the gripper closes after 40 steps."""
    stream = np.random.default_rng(index)
    rows, velocity = np.zeros((steps, 7)), np.zeros(6)
    for step in range(steps):
        velocity = 0.8 * velocity + 0.35 * stream.normal(size=6)
        rows[step, :6] = np.clip(velocity, -1.0, 1.0)
        rows[step, 6] = -1.0 if step < 40 else 1.0
        if step % 7 == 3:
            rows[step, 3:6] = 0.0
    return rows


def resident_mb() -> float:
    """This process's resident memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


def make_player(spec: PlayerSpec) -> Player:
    """The player of that kind."""
    task = find_task(spec.task)
    if spec.kind in (Kind.PLAIN, Kind.GATED, Kind.RESETS):
        return _PlainPlayer(task, spec)
    return _FloorPlayer(task, spec) if spec.kind is Kind.FLOOR else _FastPlayer(task, spec)


def main(text: str) -> None:
    """Serve orders until stdin ends."""
    fields = json.loads(text)
    spec = PlayerSpec(**{**fields, "kind": Kind(fields["kind"]), "gl": GlBackend(fields["gl"])})
    # What LIBERO prints must not end up among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if spec.cpu is not None:
        os.sched_setaffinity(0, {spec.cpu})
    configure(spec.gl)
    player = make_player(spec)
    for index in range(3):
        player.play(index)
    print(json.dumps({"resident_mb": resident_mb()}), file=answers, flush=True)
    for order in _orders():
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        for index in range(order["episodes"]):
            player.play(index % 3)
        spent_s, spent_cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        answer = {
            "wall": spent_s / order["episodes"],
            "cpu": spent_cpu_s / order["episodes"],
            "resident_mb": resident_mb(),
        }
        print(json.dumps(answer), file=answers, flush=True)


def _orders() -> Iterator[dict[str, int]]:
    for line in sys.stdin:
        order: dict[str, int] = json.loads(line)
        if not order:
            return
        yield order


if __name__ == "__main__":
    main(sys.argv[1])
