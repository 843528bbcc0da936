"""Random streams that depend on the run's seed and the step alone.

Nothing is drawn from a stream that runs on from step to step, so there is no generator state to
store: a resumed run, or one on another number of processes, draws the same numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sfbench.rollout.seeds import derive_seed


def sample_seed(seed: int, step: int, episode: int, frame: int) -> int:
    """Of one sample's augmentation and noise in a step."""
    return derive_seed("sample", seed, step, episode, frame)


def auxiliary_generator(name: str, seed: int, step: int, part: int) -> torch.Generator:
    """An auxiliary loss's own stream in a micro-batch, on the CPU."""
    return torch.Generator().manual_seed(derive_seed("auxiliary", name, seed, step, part))


@contextmanager
def global_stream(*parts: str | int) -> Iterator[None]:
    """Start torch's global streams (dropout) at a seed; after the block they are as before."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(*parts))
        yield
