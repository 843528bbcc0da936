"""Demonstrations of the toy suite: drawn instead of rendered, so that they take no time."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sfbench_toy.suite import ToyConfig, env_spec

from sfbench.contracts import Orientation
from sfbench.demos.convert import save
from sfbench.demos.memory import EpisodeArrays, MemorySource
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import spec_of

IMAGE_PX = 32
INSTRUCTIONS = ("push the puck to the mark", "bring the puck to the blue disc")


def draw(puck: NDArray[np.float64], mark: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Two discs on a table, [px, px, 3]."""
    image = np.full((IMAGE_PX, IMAGE_PX, 3), (70, 120, 95), np.uint8)
    rows, columns = np.mgrid[0:IMAGE_PX, 0:IMAGE_PX]
    for (x, y), colour, radius in ((mark, (50, 50, 230), 4), (puck, (230, 50, 50), 3)):
        column, row = (x + 1) / 2 * (IMAGE_PX - 1), (1 - y) / 2 * (IMAGE_PX - 1)
        image[np.hypot(rows - row, columns - column) <= radius] = colour
    return image


def episode(index: int, steps: int, seed: int) -> EpisodeArrays:
    """A puck that runs straight at its mark."""
    random = np.random.default_rng([seed, index])
    mark, puck = random.uniform(-0.7, 0.7, 2), np.zeros(2)
    states, actions, images = [], [], []
    for _ in range(steps):
        states.append(np.concatenate([puck, mark]))
        images.append(draw(puck, mark))
        actions.append(np.clip(8 * (mark - puck), -2, 2))
        puck = puck + 0.05 * actions[-1]
    info = EpisodeInfo(
        index=index,
        task="reach",
        instruction=INSTRUCTIONS[index % 2],
        length=steps,
        state_id=f"toy/reach/train/{index}",
        split="train",
        init_state=index,
        seed=seed,
    )
    return EpisodeArrays(
        info=info,
        images={"top": np.stack(images)},
        state=np.stack(states).astype(np.float32),
        actions=np.stack(actions).astype(np.float32),
    )


def make_dataset(folder: Path, episodes: int = 6, seed: int = 0) -> Path:
    """Write a dataset folder; returns it."""
    spec = spec_of("toy", env_spec(ToyConfig(image_px=IMAGE_PX)), ["top"])
    assert spec.cameras[0].orientation is Orientation.UPRIGHT
    # Lengths differ, so that some chunks reach beyond an episode's end.
    made = [episode(index, 14 + 3 * index, seed) for index in range(episodes)]
    save(MemorySource(spec, made), folder)
    return folder
