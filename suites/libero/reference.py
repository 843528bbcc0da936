"""The plain loop, recorded: what hf-libero and robosuite do, to compare the fast path with.

For tests and benchmarks. Run as a program (`python -m ....reference REQUEST.json`), because the
rendering contexts of robosuite and ours do not live well in one process.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.errors import SystemFaultError

from .init_states import load
from .spec import AGENT_CAMERA, WRIST_CAMERA
from .upstream import load_environments

Array = NDArray[np.float64]
CAMERAS = (AGENT_CAMERA, WRIST_CAMERA)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainEpisode:
    """One episode of the plain loop.

    Attributes:
        init_state: index into the published list.
        seed: given to `env.seed` before a reset as of a freshly made environment. None: neither;
            the generator and the environment go on as they are, as in published evaluations.
        actions: [T, 7], after reset and `set_init_state`.
        image_steps: after how many actions images are recorded. None: drawn after every action, as
            published evaluations do, and recorded after all.
    """

    init_state: int
    seed: int | None
    actions: Sequence[Sequence[float]]
    image_steps: tuple[int, ...] | None = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainRequest:
    """What to record of one task.

    Attributes:
        assets: root of the asset tree.
        bddl: the task's file.
        init_states: the published list.
        render_px: height and width.
        first_seed: given to `env.seed` once, before the first episode; None: not.
        episodes: in order, in one environment.
        probes: states [N, 1 + nq + nv] at which the goal is asked for, after the episodes.
    """

    assets: str
    bddl: str
    init_states: str
    render_px: int
    first_seed: int | None
    episodes: Sequence[PlainEpisode]
    probes: Sequence[Sequence[float]] = ()


@dataclass(frozen=True, slots=True)
class PlainRecord:
    """One recorded episode of T actions; index 0 is the state after `set_init_state`.

    Attributes:
        qpos: [T + 1, nq].
        qvel: [T + 1, nv].
        success: [T], what `env.step` returned as done.
        observed: [T + 1, 8]: grip position, axis-angle, finger positions, as evaluations join them.
        images: camera to uint8 [len(image_steps), H, W, 3], as robosuite gives them.
        fixtures: [nbody, 7], poses of all bodies in their parents.
    """

    qpos: Array
    qvel: Array
    success: NDArray[np.bool_]
    observed: Array
    images: dict[str, NDArray[np.uint8]]
    fixtures: Array


def record(request: PlainRequest, folder: Path) -> tuple[list[PlainRecord], NDArray[np.bool_]]:
    """Play the plain loop in a process of its own; returns episodes, and the goal at each probe.

    Raises:
        SystemFaultError: the process failed.
    """
    asked, answered = folder / "request.json", folder / "record.npz"
    asked.write_text(json.dumps({**asdict(request), "out": str(answered)}))
    command = [sys.executable, "-m", f"{__package__}.reference", str(asked)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemFaultError(f"the plain loop failed:\n{done.stderr[-2000:]}")
    with np.load(answered) as arrays:
        episodes = [_unpack(arrays, index) for index in range(len(request.episodes))]
        return episodes, arrays["probes"]


class PlainLoop:
    """One of LIBERO's environments, driven as published evaluations drive it."""

    def __init__(self, assets: Path, bddl: Path, render_px: int) -> None:
        wrapper = load_environments(assets, rendering=True)
        self.env = wrapper.OffScreenRenderEnv(
            bddl_file_name=str(bddl), camera_heights=render_px, camera_widths=render_px
        )
        self._draws_when_made = len(self.env.env.object_property_initializers)
        self._draws_images = True

    def reset_as_new(self, seed: int) -> None:
        """`env.seed(seed); env.reset()`, as if the environment had just been made."""
        # Upstream's list grows at every reset, so that later resets draw other numbers.
        del self.env.env.object_property_initializers[self._draws_when_made :]
        self.env.seed(seed)
        self.env.reset()

    def gate_cameras(self) -> None:
        """Draw images only while `draw_images` says so. Has to be called after each reset."""
        for camera in CAMERAS:
            observable = self.env.env._observables[f"{camera}_image"]  # noqa: SLF001
            observable._sensor = self._gated(observable._sensor)  # noqa: SLF001

    def draw_images(self, wanted: bool) -> None:
        """Whether the next observation has images; without, they are black."""
        self._draws_images = wanted

    def _gated(self, sensor: Any) -> Any:  # noqa: ANN401 (upstream's sensor functions)
        def gated(cache: Any) -> Any:  # noqa: ANN401
            return sensor(cache) if self._draws_images else np.zeros((1, 1, 3), np.uint8)

        gated.__modality__ = sensor.__modality__  # type: ignore[attr-defined]
        return gated


def main(request_path: str) -> None:
    """Record a request."""
    asked = json.loads(Path(request_path).read_text())
    loop = PlainLoop(Path(asked["assets"]), Path(asked["bddl"]), asked["render_px"])
    states = load(Path(asked["init_states"]))
    if asked["first_seed"] is not None:
        loop.env.seed(asked["first_seed"])
    arrays: dict[str, Any] = {}
    for index, fields in enumerate(asked["episodes"]):
        episode = PlainEpisode(**fields)
        for name, value in _play(loop, episode, states[episode.init_state]).items():
            arrays[f"{index}/{name}"] = value
    probes = [_goal_at(loop, np.array(state)) for state in asked["probes"]]
    np.savez(asked["out"], probes=np.array(probes, dtype=np.bool_), **arrays)


def _play(loop: PlainLoop, episode: PlainEpisode, state: Array) -> dict[str, Any]:
    loop.draw_images(True)
    if episode.seed is None:
        loop.env.reset()
    else:
        loop.reset_as_new(episode.seed)
    steps = episode.image_steps
    if steps is not None:
        loop.gate_cameras()
        loop.draw_images(0 in steps)
    simulator = loop.env.sim
    rows: dict[str, list[Any]] = {name: [] for name in ("qpos", "qvel", "observed", "success")}
    images: dict[str, list[Any]] = {camera: [] for camera in CAMERAS}
    observation = loop.env.set_init_state(state)
    for count in range(len(episode.actions) + 1):
        if count > 0:
            loop.draw_images(steps is None or count in steps)
            observation, _, done, _ = loop.env.step(episode.actions[count - 1])
            rows["success"].append(done)
        rows["qpos"].append(simulator.data.qpos.copy())
        rows["qvel"].append(simulator.data.qvel.copy())
        rows["observed"].append(_joined_state(observation))
        if steps is None or count in steps:
            for camera in CAMERAS:
                images[camera].append(observation[f"{camera}_image"])
    fixtures = np.hstack([simulator.model.body_pos, simulator.model.body_quat])
    return {**rows, **{f"image/{name}": frames for name, frames in images.items()}} | {
        "fixtures": fixtures
    }


def _joined_state(observation: Any) -> Array:  # noqa: ANN401
    from robosuite.utils.transform_utils import quat2axisangle

    turn = quat2axisangle(observation["robot0_eef_quat"].copy())
    return np.concatenate([observation["robot0_eef_pos"], turn, observation["robot0_gripper_qpos"]])


def _goal_at(loop: PlainLoop, state: Array) -> bool:
    loop.env.set_state(state)
    loop.env.sim.forward()
    return bool(loop.env.check_success())


def _unpack(arrays: Any, index: int) -> PlainRecord:  # noqa: ANN401 (numpy's archive)
    return PlainRecord(
        qpos=arrays[f"{index}/qpos"],
        qvel=arrays[f"{index}/qvel"],
        success=arrays[f"{index}/success"].astype(np.bool_),
        observed=arrays[f"{index}/observed"],
        images={camera: arrays[f"{index}/image/{camera}"] for camera in CAMERAS},
        fixtures=arrays[f"{index}/fixtures"],
    )


if __name__ == "__main__":
    main(sys.argv[1])
