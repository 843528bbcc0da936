"""Procedural textures: fixed by their seed, made in numpy, no files."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]
) -> np.ndarray:
    """Value noise in 0 to 1 with `cells` lattice cells down and across, tileable."""
    lattice = rng.random(cells)
    axes = []
    for size, count in zip(shape, cells, strict=True):
        place = np.arange(size) * count / size
        low = place.astype(int)
        t = place - low
        axes.append((low % count, (low + 1) % count, t * t * (3 - 2 * t)))
    (r0, r1, tr), (c0, c1, tc) = axes
    tr, tc = tr[:, None], tc[None, :]
    top = lattice[r0][:, c0] * (1 - tc) + lattice[r0][:, c1] * tc
    bottom = lattice[r1][:, c0] * (1 - tc) + lattice[r1][:, c1] * tc
    return np.asarray(top * (1 - tr) + bottom * tr)


@cache
def wood(size: int = 512, seed: int = 7) -> Image:
    """Planks of light wood, grain along the columns; uint8 [size, size, 3]."""
    rng = np.random.default_rng(seed)
    planks = 4
    rows = []
    for _ in range(planks):
        shape = (size // planks, size)
        bend = smooth_noise(rng, shape, (2, 3)) * 2.2 + smooth_noise(rng, shape, (4, 8)) * 0.5
        across = np.linspace(0, 5, shape[0])[:, None]
        rings = 0.5 + 0.5 * np.sin(2 * np.pi * (across + bend))
        fibre = smooth_noise(rng, shape, (shape[0] // 2, 8))
        shade = 0.82 + 0.08 * rings + 0.07 * fibre + rng.uniform(-0.04, 0.03)
        shade[:1] *= 0.8
        rows.append(shade)
    shade = np.concatenate(rows)[:, :, None]
    colour = np.array([222.0, 184.0, 138.0]) * shade
    return np.asarray(np.clip(colour, 0, 255), np.uint8)


@cache
def tiles(size: int = 256, seed: int = 3) -> Image:
    """A floor of grey tiles; uint8 [size, size, 3]."""
    rng = np.random.default_rng(seed)
    base = 150 + 14 * smooth_noise(rng, (size, size), (32, 32))
    half = size // 2
    base[:half, :half] += 8
    base[half:, half:] += 8
    for start in (0, half):
        base[start : start + 2] = 118
        base[:, start : start + 2] = 118
    return np.repeat(np.clip(base, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def texture_file(image: Image) -> bytes:
    """MuJoCo's own uncompressed texture format: int32 width and height, then rows of RGB."""
    height, width, _ = image.shape
    return np.array([width, height], np.int32).tobytes() + image.tobytes()
