"""A slot's shared memory: what the worker is doing, its state vector and its images."""

import mmap
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import CameraSpec, Observation
from sfbench.rollout.messages import Operation

_HEADER_BYTES = 64


@dataclass(frozen=True, slots=True)
class SlotLayout:
    """Sizes of what a slot holds; equal on both sides."""

    state_size: int
    cameras: tuple[CameraSpec, ...]

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole block."""
        images = sum(camera.height * camera.width * 3 for camera in self.cameras)
        return _HEADER_BYTES + 8 * self.state_size + images


def create_block(layout: SlotLayout) -> int:
    """An unlinked file in memory where possible; returns its descriptor.

    Nothing is left behind, however the processes end.
    """
    folder = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (unlinked at once)
    descriptor, name = tempfile.mkstemp(prefix="sfbench-", dir=folder)
    Path(name).unlink()
    os.ftruncate(descriptor, layout.total_bytes)
    return descriptor


class SlotMemory:
    """One side's view of a slot's block."""

    def __init__(self, descriptor: int, layout: SlotLayout) -> None:
        self._map = mmap.mmap(descriptor, layout.total_bytes)
        self._operation = np.frombuffer(self._map, np.int64, 1, 0)
        self._since_s = np.frombuffer(self._map, np.float64, 1, 8)
        self.state: NDArray[np.float64] = np.frombuffer(
            self._map, np.float64, layout.state_size, _HEADER_BYTES
        )
        self.images: dict[str, NDArray[np.uint8]] = {}
        offset = _HEADER_BYTES + 8 * layout.state_size
        for camera in layout.cameras:
            shape = (camera.height, camera.width, 3)
            count = camera.height * camera.width * 3
            flat = np.frombuffer(self._map, np.uint8, count, offset)
            self.images[camera.name] = flat.reshape(shape)
            offset += count

    def begin(self, operation: Operation) -> None:
        """Worker: note what starts now, for the deadline."""
        self._operation[0] = operation
        self._since_s[0] = time.monotonic()

    def doing(self) -> tuple[Operation, float]:
        """Main: what the worker does, and for how many seconds."""
        return Operation(int(self._operation[0])), time.monotonic() - float(self._since_s[0])

    def put(self, observation: Observation) -> None:
        """Worker: copy an observation in."""
        self.state[:] = observation.state
        for name, image in observation.images.items():
            self.images[name][:] = image

    def observation(self) -> Observation:
        """Main: a view, valid until the worker is told to go on."""
        return Observation(images=self.images, state=self.state)
