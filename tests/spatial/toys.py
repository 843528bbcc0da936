"""Demonstrations of two drawn cameras with depth, for alignment and caches."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sfbench_toy.suite import ToyConfig, env_spec

from sfbench.contracts import CameraSpec
from sfbench.demos.dataset import Dataset
from sfbench.demos.memory import EpisodeArrays, MemorySource
from sfbench.demos.spec import spec_of
from tests.training.demos import IMAGE_PX, episode

LENGTHS = (5, 8)


def dataset(height: int = IMAGE_PX, seed: int = 0, lengths: Sequence[int] = LENGTHS) -> Dataset:
    """Short episodes, seen from the top and from the side (the same picture, darker)."""
    env = env_spec(ToyConfig(image_px=IMAGE_PX))
    cameras = tuple(
        CameraSpec(name=name, height=height, width=IMAGE_PX) for name in ("top", "side")
    )
    env = replace(env, cameras=cameras)
    kinds = ("depth_m", "intrinsics", "to_world")
    names = [f"{kind}/{camera.name}" for kind in kinds for camera in cameras]
    made = [_episode(index, steps, seed, height) for index, steps in enumerate(lengths)]
    spec = spec_of("toy", env, [camera.name for camera in cameras], names)
    return Dataset(MemorySource(spec, made), "toy")


def _episode(index: int, steps: int, seed: int, height: int) -> EpisodeArrays:
    drawn = episode(index, steps, seed)
    top = drawn.images["top"][:, :height]
    random = np.random.default_rng([9, seed, index])
    extras = {}
    for camera in ("top", "side"):
        # A plane, tilted anew in every frame.
        tilt = random.uniform(-0.5, 0.5, (2, steps, 1, 1))
        x, y = np.linspace(-1, 1, IMAGE_PX), np.linspace(-1, 1, height)[:, None]
        depth = 1.5 + tilt[0] * x + tilt[1] * y
        extras[f"depth_m/{camera}"] = depth.astype(np.float32)
        inner = np.array([[40.0, 0, IMAGE_PX / 2], [0, 40.0, height / 2], [0, 0, 1]])
        extras[f"intrinsics/{camera}"] = np.tile(inner, (steps, 1, 1))
        outer = np.eye(4)
        outer[:3, 3] = random.uniform(-0.1, 0.1, 3)
        extras[f"to_world/{camera}"] = np.tile(outer, (steps, 1, 1))
    images = {"top": top, "side": top // 2}
    return replace(drawn, images=images, extras=extras)
