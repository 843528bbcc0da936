"""What changes how a scene looks and nothing else: textures, lighting, camera jitter."""

from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np

from ..pose import Array
from ..scene import textures
from ..scene.textures import Image, smooth_noise

UNSEEN_TEXTURES = 10_000
"""Textures below this number belong to training, the others to evaluation."""
CLEAN_SHARE = EXTREME_SHARE = 0.02
"""Of episodes: with the clean setting's textures; with extreme light. RoboTwin's shares."""
_KINDS = 6


@dataclass(frozen=True, slots=True)
class Light:
    """The sun's direction and colour, and the light from everywhere."""

    direction: tuple[float, ...]
    sun: tuple[float, ...]
    ambient: tuple[float, ...]


def draw_light(rng: np.random.Generator) -> Light:
    """Sun up to 50 degrees off the zenith; one episode in fifty glaring, dim, or all one colour."""
    slant, heading = rng.uniform(0.05, 0.87), rng.uniform(-np.pi, np.pi)
    direction = (np.sin(slant) * np.cos(heading), np.sin(slant) * np.sin(heading), -np.cos(slant))
    sun = rng.uniform(0.3, 0.85) * rng.uniform(0.75, 1.0, 3)
    ambient = rng.uniform(0.22, 0.50) * rng.uniform(0.8, 1.0, 3)
    if rng.random() < EXTREME_SHARE:
        extreme = rng.integers(3)
        if extreme == 0:
            sun, ambient = sun * 0.25, ambient * 0.35
        elif extreme == 1:
            sun, ambient = sun * 2.0, ambient * 1.8
        else:
            tint = rng.uniform(0.1, 1.0, 3) ** 2
            sun, ambient = sun * tint, ambient * tint
    return Light(tuple(direction), tuple(sun), tuple(ambient))


def apply_light(model: mujoco.MjModel, light: Light) -> None:
    """Light a scene."""
    sun = model.light("sun")
    sun.dir[:] = light.direction
    sun.pos[:] = -2.2 * np.asarray(light.direction) + (0.0, 0.0, 0.7)
    sun.diffuse[:] = light.sun
    model.vis.headlight.ambient[:] = light.ambient


@lru_cache(maxsize=64)
def texture(number: int, size: int) -> Image:
    """A procedural texture, uint8 [size, size, 3]; the number decides everything."""
    rng = np.random.default_rng([number, 77])
    first, second = _colour(rng), _colour(rng)
    kind = number % _KINDS
    if kind == 0:
        shade = textures.wood(size, seed=number).astype(float) / (222.0, 184.0, 138.0)
        return _image(shade * first * rng.uniform(0.8, 1.2))
    small = size // 2
    share = np.clip(_pattern(rng, kind, small), 0, 1)[:, :, None]
    colour = first * (1 - share) + second * share
    colour *= 0.94 + 0.12 * smooth_noise(rng, (small, small), (small // 4, small // 4))[:, :, None]
    return _image(np.repeat(np.repeat(colour, 2, axis=0), 2, axis=1))


def _pattern(rng: np.random.Generator, kind: int, size: int) -> Array:
    """A field in 0 to 1 between a texture's two colours."""
    row, column = np.mgrid[0:size, 0:size] / size
    count = int(rng.integers(3, 14))
    if kind == 1:
        return np.asarray(0.5 + 0.5 * np.sign(np.sin(2 * np.pi * count * column)))
    if kind == 2:
        return np.asarray((np.floor(row * count) + np.floor(column * count)) % 2)
    if kind == 3:
        distance = np.hypot((row * count) % 1 - 0.5, (column * count) % 1 - 0.5)
        return np.asarray(distance < rng.uniform(0.2, 0.4), float)
    clouds = smooth_noise(rng, (size, size), (4, 4))
    clouds = clouds + 0.5 * smooth_noise(rng, (size, size), (16, 16))
    if kind == 4:
        return np.asarray(0.5 + 0.5 * np.sin(2 * np.pi * (count * row / 2 + 2 * clouds)))
    return np.asarray(clouds / 1.5)


def _colour(rng: np.random.Generator) -> Array:
    """Any hue, rather pale than dark."""
    colour = rng.random(3)
    return np.asarray(255 * (0.25 + 0.7 * colour))


def _image(colour: Array) -> Image:
    return np.asarray(np.clip(colour, 0, 255), np.uint8)
