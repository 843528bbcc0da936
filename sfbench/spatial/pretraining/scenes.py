"""Rendered scenes on disk, memory-mapped.

Legend: N scenes, S views, H and W pixels.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Json, differences
from sfbench.errors import UsageError
from sfbench.training.checkpoint import written_whole

_INDEX, _FORMAT = "index.json", 1
_ARRAYS = ("images", "depth_m", "to_world", "focal_px")


@dataclass(frozen=True, eq=False)
class Scenes:
    """Several views of each of many moments.

    Attributes:
        images: uint8 [N, S, H, W, 3].
        depth_m: float32 [N, S, H, W], along the cameras' axes; inf where nothing is seen.
        to_world: float64 [N, S, 4, 4], m: from the camera (x right, y down, z ahead).
        focal_px: float64 [N], of all views of a scene; square pixels, axis in the middle.
        names: of each scene, `task-episode-step`.
    """

    images: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    to_world: NDArray[np.float64]
    focal_px: NDArray[np.float64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class OneScene:
    """A row of `Scenes`."""

    images: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    to_world: NDArray[np.float64]
    focal_px: float
    name: str


def kept(folder: Path, key: Mapping[str, Json], make: Callable[[], Sequence[OneScene]]) -> Scenes:
    """Scenes of a folder, made first where there are none.

    Args:
        folder: where they lie, or shall.
        key: all that they depend on.
        make: makes them.

    Raises:
        UsageError: the folder has scenes of another key, or is damaged.
        StoppedError: they could not be written.
    """
    wanted = json.loads(json.dumps({"format": _FORMAT, **key}))
    if not folder.exists():
        _write(folder, wanted, make())
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        if lines := differences(index["key"], wanted):
            raise UsageError(
                f"{folder} holds other scenes (stored -> asked for):\n  "
                + "\n  ".join(lines)
                + "\nName another out=, or remove the folder"
            )
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        scenes = Scenes(names=tuple(index["names"]), **arrays)
        if any(len(array) != len(scenes) for array in arrays.values()):
            raise ValueError("arrays and names differ in number")
    except UsageError:
        raise
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{folder} is damaged ({error}); remove it to render anew") from error
    return scenes


def _write(folder: Path, key: Mapping[str, Json], scenes: Sequence[OneScene]) -> None:
    with written_whole(folder) as partial:
        for name in _ARRAYS:
            np.save(partial / f"{name}.npy", np.stack([getattr(one, name) for one in scenes]))
        index = {"key": key, "names": [one.name for one in scenes]}
        (partial / _INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
