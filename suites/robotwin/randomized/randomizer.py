"""Draws and applies one episode's variation of a scene.

A candidate seed fixes all that physics feels (objects, clutter, table height), so that an expert
can verify it; the episode's seed fixes what is only seen (textures, lighting, camera jitter), and
pushes.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import mujoco
import numpy as np

from sfbench.contracts import Json, Split, stable_hash

from ..config import RandomizedConfig
from ..pose import Array
from ..robot.panda import Side
from ..scene.view import Scene
from ..states import state_rng
from ..tasks.base import Layout, TabletopTask
from . import clutter, looks
from .distractors import NAMES
from .pushes import Pushes

LOWEST_TABLE_M = 0.03
"""The table stands up to this much lower."""
_TEXTURES = ("table_wood", "floor_tiles")
_ROOM_CAMERAS = ("head_camera", "front_camera")
_JITTER_RAD_PER_M = 2.0
"""A camera jittered by 1 cm also turns by about 1 degree."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Which parts of the randomisation are on."""

    clutter: bool
    textures: bool
    lighting: bool
    table_height: bool
    camera_jitter_m: float
    push_rad: float

    @classmethod
    def of(cls, config: RandomizedConfig) -> "Axes":
        """From the user's settings."""
        return cls(
            config.clutter,
            config.textures,
            config.lighting,
            config.table_height,
            config.camera_jitter_m,
            config.push_rad,
        )

    def to_json(self) -> Json:
        """A plain dict, for the protocol card; cards from before there were pushes stay true."""
        found = asdict(self)
        if not self.push_rad:
            del found["push_rad"]
        return found

    @property
    def physical(self) -> tuple[str, ...]:
        """The switched-on axes that change the physics."""
        return tuple(name for name in ("clutter", "table_height") if getattr(self, name))


class Randomizer:
    """Changes one scene, whose model must belong to it alone."""

    def __init__(self, scene: Scene, task: TabletopTask, axes: Axes) -> None:
        self._scene = scene
        self._task = task
        self._axes = axes
        self._radii: dict[str, float] = {}
        model = scene.model
        self._camera_pos: Array = model.cam_pos.copy()
        self._camera_quat: Array = model.cam_quat.copy()
        self._body_pos: Array = model.body_pos.copy()
        self._geom_pos: Array = model.geom_pos.copy()
        self._texture_data = model.tex_data.copy()

    def place(self, candidate: int, layout: Layout) -> Layout:
        """The task's layout and this candidate's clutter; sets the table's height."""
        model = self._scene.model
        # Each axis has a stream of its own, so that switching one off leaves the others alone.
        drop_m = 0.0
        if self._axes.table_height:
            drop_m = float(_stream(self._task, candidate, "height").uniform(0, LOWEST_TABLE_M))
        self._set_drop(drop_m)
        if not self._axes.clutter:
            return layout
        bodies = [*layout, *NAMES]
        for name in bodies:
            if name not in self._radii:
                self._radii[name] = clutter.reach_m(model, name)
        rng = _stream(self._task, candidate, "clutter")
        things = clutter.scatter(rng, layout, self._radii, self._task.reserved)
        for name in NAMES:
            model.body_gravcomp[model.body(name).id] = 0.0 if name in things else 1.0
        return layout | things

    def dress(self, seed: int, candidate: int, split: Split) -> str:
        """Draw what is only seen; returns a hash of it. Textures then have to be uploaded."""
        rng = np.random.Generator(np.random.PCG64([seed, candidate, *self._task.name.encode()]))
        streams = rng.spawn(3)
        drawn: list[Json] = []
        if self._axes.textures:
            drawn.append(self._paint(streams[0], split))
        if self._axes.lighting:
            light = looks.draw_light(streams[1])
            looks.apply_light(self._scene.model, light)
            drawn.append(_rounded((*light.direction, *light.sun, *light.ambient)))
        if self._axes.camera_jitter_m > 0:
            drawn.append(self._shake(streams[2]))
        return stable_hash(drawn) if drawn else ""

    def pushes(self, seed: int, candidate: int) -> Pushes | None:
        """What happens to the arms in an episode, or None where nothing does."""
        if not self._axes.push_rad:
            return None
        return Pushes(_stream(self._task, candidate, f"pushes/{seed}"), self._axes.push_rad)

    @property
    def texture_ids(self) -> tuple[int, ...]:
        """What `dress` may have repainted."""
        if not self._axes.textures:
            return ()
        return tuple(int(self._scene.model.tex(name).id) for name in (*_TEXTURES, "sky"))

    def _set_drop(self, drop_m: float) -> None:
        """Lower the table: in the table's frame, raise everything else."""
        model = self._scene.model
        model.body_pos[:], model.geom_pos[:] = self._body_pos, self._geom_pos
        model.cam_pos[:], model.cam_quat[:] = self._camera_pos, self._camera_quat
        for side in Side:
            model.body(f"{side}_link0").pos[2] += drop_m
            model.geom(f"{side}_stand").pos[2] += drop_m
        model.geom("floor").pos[2] += drop_m
        for name in _ROOM_CAMERAS:
            model.camera(name).pos[2] += drop_m

    def _paint(self, rng: np.random.Generator, split: Split) -> list[Json]:
        model = self._scene.model
        model.tex_data[:] = self._texture_data
        first = looks.UNSEEN_TEXTURES if split is Split.EVAL else 0
        numbers = [int(n) for n in rng.integers(first, first + looks.UNSEEN_TEXTURES, 2)]
        tint = rng.uniform(0.35, 1.0, 3)
        if rng.random() < looks.CLEAN_SHARE:
            return []
        for name, number in zip(_TEXTURES, numbers, strict=True):
            pixels = _pixels(model, name)
            pixels[:] = looks.texture(number, int(model.tex(name).width[0])).reshape(-1)
        sky = _pixels(model, "sky").reshape(-1, 3)
        sky[:] = np.clip(sky * tint, 0, 255).astype(np.uint8)
        return [*numbers, *_rounded(tint)]

    def _shake(self, rng: np.random.Generator) -> list[Json]:
        """Move the room's cameras; those on the hands are screwed on."""
        numbers: list[Json] = []
        for name in _ROOM_CAMERAS:
            camera = self._scene.model.camera(name)
            shift = rng.normal(0.0, self._axes.camera_jitter_m, 3)
            turn = rng.normal(0.0, _JITTER_RAD_PER_M * self._axes.camera_jitter_m, 3)
            camera.pos[:] += shift
            quat = camera.quat.copy()
            mujoco.mju_quatIntegrate(quat, turn, 1.0)
            camera.quat[:] = quat
            numbers += _rounded((*shift, *turn))
        return numbers


def _pixels(model: mujoco.MjModel, name: str) -> np.ndarray:
    """A texture's bytes in the model."""
    found = model.tex(name)
    start = int(found.adr[0])
    size = int(found.width[0]) * int(found.height[0]) * int(model.tex_nchannel[found.id])
    return np.asarray(model.tex_data[start : start + size])


def _rounded(numbers: Iterable[float]) -> list[float]:
    return [round(float(number), 9) for number in numbers]


def _stream(task: TabletopTask, candidate: int, axis: str) -> np.random.Generator:
    return state_rng(f"{task.name}/{axis}", candidate)
