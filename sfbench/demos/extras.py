"""Depth, segmentation and camera matrices beside an episode: one HDF5 file each.

Depth is kept as whole millimetres in 16 bits, so it is exact to half a millimetre up to 65 m. Every
frame is a chunk of its own, so that one frame is read without the others.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sfbench.errors import DatasetError, StoppedError

DEPTH, SEGMENTATION, INTRINSICS, TO_WORLD = "depth_m", "segmentation", "intrinsics", "to_world"
SIM_STATE = "sim_state"
"""The simulator's whole state before each action, float64 [T, ...]: Env.get_state."""

NOTHING_SEEN = 65535
"""Stands for an infinite depth."""


def depth_to_mm(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Whole millimetres; what is farther than 65.534 m counts as not seen."""
    with np.errstate(invalid="ignore"):
        millimetres = np.rint(depth_m * 1000.0)
    return np.where(millimetres < NOTHING_SEEN, millimetres, NOTHING_SEEN).astype(np.uint16)


def depth_to_m(depth_mm: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Inverse of `depth_to_mm`, to half a millimetre."""
    metres = depth_mm.astype(np.float32) / np.float32(1000.0)
    metres[depth_mm == NOTHING_SEEN] = np.inf
    return metres


class ExtrasWriter:
    """Writes one episode's extras as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = h5py.File(path, "w")

    def add(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """One frame's extras by name. Raises StoppedError where the disk refuses them."""
        try:
            for name, row in rows.items():
                self._append(name, depth_to_mm(row) if name.startswith(DEPTH + "/") else row)
        except OSError as error:
            raise StoppedError(f"cannot write {self._path}: {error}") from error

    def close(self, object_names: Sequence[str]) -> None:
        """Finish the file; `object_names` is what segmentation tells apart."""
        self._file.attrs["object_names"] = list(object_names)
        try:
            self._file.close()
        except OSError as error:
            raise StoppedError(f"cannot write {self._path}: {error}") from error

    def _append(self, name: str, row: NDArray[Any]) -> None:
        if name not in self._file:
            shape = (1, *row.shape)
            packed = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
            self._file.create_dataset(
                name,
                shape=(0, *row.shape),
                maxshape=(None, *row.shape),
                chunks=shape,
                dtype=row.dtype,
                **packed,
            )
        table = self._file[name]
        table.resize(len(table) + 1, axis=0)
        table[-1] = row


class ExtrasFile:
    """One episode's extras, kept open."""

    def __init__(self, path: Path) -> None:
        """Open. Raises DatasetError if it is missing or damaged."""
        self._path = path
        try:
            self._file: Any = h5py.File(path, "r")
        except OSError as error:
            raise DatasetError(f"extras {path} cannot be opened: {error}") from error

    def rows(self, name: str, indices: Sequence[int]) -> NDArray[Any]:
        """Some frames of an extra, [n, ...]; depth in m."""
        try:
            table = self._file[name]
            rows = np.stack([table[int(index)] for index in indices])
        except (OSError, KeyError, IndexError, ValueError) as error:
            raise DatasetError(f"extras {self._path}: '{name}' cannot be read: {error}") from error
        return depth_to_m(rows) if name.startswith(DEPTH + "/") else rows

    def object_names(self) -> tuple[str, ...]:
        """What segmentation tells apart."""
        return tuple(str(name) for name in self._file.attrs["object_names"])

    def close(self) -> None:
        """Close the file."""
        self._file.close()
