"""Small datasets made on the spot, through the package's own writer."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sfbench.contracts import CameraSpec
from sfbench.demos.batch import DemoBatch
from sfbench.demos.convert import save
from sfbench.demos.dataset import Dataset, open_dataset
from sfbench.demos.memory import EpisodeArrays, MemorySource
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import DatasetSpec

LENGTHS = (5, 7, 9, 4, 6, 8)
CAMERAS = (
    CameraSpec(name="head", height=24, width=32),
    CameraSpec(name="wrist", height=17, width=19),
)
SPEC = DatasetSpec(suite="toy", fps=20.0, cameras=CAMERAS, state_size=3, action_size=2)


def picture(rng: np.random.Generator, camera: CameraSpec, length: int) -> np.ndarray:
    """Noise over a gradient that moves: nothing in it is easy to compress without loss."""
    rows = np.linspace(0, 200, camera.height)[None, :, None, None]
    time = np.arange(length)[:, None, None, None] * 3
    noise = rng.integers(0, 40, (length, camera.height, camera.width, 3))
    return (rows + time + noise).astype(np.uint8)


def episode(number: int, length: int, spec: DatasetSpec = SPEC, **info: Any) -> EpisodeArrays:
    rng, far = np.random.default_rng(number), np.random.default_rng([1, number])
    extras = {
        f"depth_m/{camera.name}": far.uniform(0.2, 3.0, (length, camera.height, camera.width))
        .round(3)
        .astype(np.float32)
        for camera in spec.cameras
        if f"depth_m/{camera.name}" in spec.extras
    }
    return EpisodeArrays(
        info=EpisodeInfo(
            index=number,
            task=f"task_{number % 2}",
            instruction=f"do thing {number % 3}",
            length=length,
            state_id=f"toy/{number}",
            **info,
        ),
        images={camera.name: picture(rng, camera, length) for camera in spec.cameras},
        state=rng.random((length, 3), np.float32),
        actions=rng.random((length, 2), np.float32),
        extras=extras,
    )


def drain(batches: Iterator[DemoBatch], count: int) -> list[DemoBatch]:
    return [next(batches) for _ in range(count)]


def memory(lengths: Sequence[int] = LENGTHS, spec: DatasetSpec = SPEC) -> Dataset:
    arrays = [episode(number, length, spec) for number, length in enumerate(lengths)]
    return Dataset(MemorySource(spec, arrays), "memory")


def written(folder: Path, lengths: Sequence[int] = LENGTHS, spec: DatasetSpec = SPEC) -> Dataset:
    save(memory(lengths, spec).source, folder)
    return open_dataset(folder)
