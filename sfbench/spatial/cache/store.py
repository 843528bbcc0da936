"""Writing and reading the files of a cache: `<root>/<key>/index.json` and arrays.

Legend: N frames, V views, R and C rows and columns of the stored grid, W width of a feature.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfbench.errors import MissingError, StoppedError, UsageError
from sfbench.sim.cache import write_atomically
from sfbench.spatial.cache.codec import Codec
from sfbench.spatial.cache.key import CacheKey

FORMAT = 1
INDEX, FEATURES, SCALES = "index.json", "features.bin", "scales.bin"
Memory = np.memmap[Any, np.dtype[Any]]
_ROOM = 0.02
"""Share of the disk that is left free."""
_PARTIAL = ".partial-"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheShape:
    """Sizes of a cache.

    Attributes:
        lengths: frames of each episode that is in it, by episode id, in order.
        width: of a feature.
        teacher_grid: rows and columns of the teacher's own grid.
    """

    lengths: dict[int, int]
    width: int
    teacher_grid: tuple[int, int]

    def array(self, key: CacheKey) -> tuple[int, ...]:
        """N, V, R, C, W."""
        return (sum(self.lengths.values()), len(key.cameras), *key.grid(), self.width)

    def bytes(self, key: CacheKey) -> int:
        """On disk, the index aside."""
        codec, (*tokens, width) = Codec(key.dtype), self.array(key)
        each = width * np.dtype(codec.stored).itemsize + codec.bytes_a_token
        return int(np.prod(tokens, dtype=np.int64)) * each


def check_room(root: Path, needed: int) -> None:
    """Refuse a size that the disk cannot hold. Raises UsageError."""
    usage = shutil.disk_usage(root)
    free = usage.free - int(_ROOM * usage.total)
    if needed > free:
        raise UsageError(
            f"the feature cache needs {sized(needed)}, but {root} has {sized(free)} to "
            "spare. Set SFBENCH_CACHE to a larger disk, or take align.cache=int8, a subset of the "
            "demonstrations, or no cache"
        )


def sized(count: int) -> str:
    """Bytes for people."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= one:
            return f"{count / one:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


class CacheWriter:
    """Fills a cache frame by frame; nothing is visible under its name until it is whole."""

    def __init__(self, root: Path, key: CacheKey, shape: CacheShape) -> None:
        """Take the room. Raises UsageError where the disk cannot hold it."""
        check_room(root, shape.bytes(key))
        self._root, self._key, self._shape = root, key, shape
        self._codec = Codec(key.dtype)
        self._folder = root / f"{key.name}{_PARTIAL}{os.getpid()}"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        sizes = shape.array(key)
        self._features = _map(self._folder / FEATURES, "w+", self._codec.stored, sizes)
        self._scales = None
        if self._codec.bytes_a_token:
            self._scales = _map(self._folder / SCALES, "w+", "<f4", sizes[:-1])
        self._written, self._distance, self._worst = 0, 0.0, 0.0

    def add(self, grids_NVRCW: Tensor) -> None:
        """The next frames' features on the stored grid."""
        values, scale = self._codec.pack(grids_NVRCW)
        part = slice(self._written, self._written + len(values))
        try:
            self._features[part] = values
            if self._scales is not None:
                self._scales[part] = scale
        except OSError as error:
            raise StoppedError(f"cannot write {self._folder}: {error}") from error
        self._written += len(values)
        distance = cosine_distance(self._codec.unpack(values, scale), grids_NVRCW.float().cpu())
        self._distance += float(distance.sum())
        self._worst = max(self._worst, float(distance.max()))

    def finish(self, notes: dict[str, Any]) -> "FeatureCache":
        """Make the cache visible; `notes` go into the index."""
        sizes = self._shape.array(self._key)
        assert self._written == sizes[0], f"{self._written} of {sizes[0]} frames were added"
        self._features.flush()
        if self._scales is not None:
            self._scales.flush()
        tokens = int(np.prod(sizes[:-1], dtype=np.int64))
        index = {
            "format": FORMAT,
            "key": self._key.to_json(),
            "lengths": {str(episode): count for episode, count in self._shape.lengths.items()},
            "width": self._shape.width,
            "teacher_grid": list(self._shape.teacher_grid),
            "bytes": self._shape.bytes(self._key),
            "storage_cosine_distance": {"mean": self._distance / tokens, "max": self._worst},
            **notes,
        }
        text = json.dumps(index, indent=1) + "\n"
        write_atomically(self._folder / INDEX, text.encode())
        final = self._root / self._key.name
        try:
            self._folder.rename(final)
        except OSError:  # Another process was first; its content is the same.
            self.abandon()
        return open_cache(self._root, self._key)

    def abandon(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._folder, ignore_errors=True)


class FeatureCache:
    """A whole cache, mapped into memory; opened by `open_cache`."""

    def __init__(self, folder: Path, key: CacheKey, index: dict[str, Any]) -> None:
        self.folder, self.key, self.index = folder, key, index
        self.shape = CacheShape(
            lengths={int(episode): count for episode, count in index["lengths"].items()},
            width=index["width"],
            teacher_grid=(index["teacher_grid"][0], index["teacher_grid"][1]),
        )
        self._codec = Codec(key.dtype)
        sizes = self.shape.array(key)
        self._features = _map(folder / FEATURES, "r", self._codec.stored, sizes)
        self._scales = None
        if self._codec.bytes_a_token:
            self._scales = _map(folder / SCALES, "r", "<f4", sizes[:-1])
        ends = np.cumsum([0, *self.shape.lengths.values()])
        self._starts = dict(zip(self.shape.lengths, ends.tolist(), strict=False))

    def read(self, episodes: Sequence[int], frames: Sequence[int]) -> Tensor:
        """Features of some frames, float32 [n, V, R, C, W].

        Raises:
            UsageError: a frame is not in the cache.
        """
        rows = []
        for episode, frame in zip(episodes, frames, strict=True):
            if not 0 <= frame < self.shape.lengths.get(episode, 0):
                raise UsageError(
                    f"feature cache {self.folder} lacks frame {frame} of episode {episode}; it has "
                    f"{len(self.shape.lengths)} episodes"
                )
            rows.append(self._starts[episode] + frame)
        scale = None if self._scales is None else self._scales[rows]
        return self._codec.unpack(self._features[rows], scale)


def open_cache(root: Path, key: CacheKey) -> FeatureCache:
    """The cache of that key.

    Raises:
        MissingError: there is none; says in what the nearest one differs.
        UsageError: its content is not what its name says, or a file is cut short.
    """
    folder = root / key.name
    if not (folder / INDEX).is_file():
        raise MissingError(f"no feature cache {folder}{_nearest(root, key)}")
    return read_cache(folder, key)


def read_cache(folder: Path, key: CacheKey) -> FeatureCache:
    """A named folder as the cache of that key. Raises UsageError; see `open_cache`."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            raise UsageError(f"{folder}: format {index['format']}; this version reads {FORMAT}")
        found = CacheKey.from_json(index["key"])
        if differences := found.differences(key):
            raise UsageError(
                f"feature cache {folder} was made for something else:\n  "
                + "\n  ".join(differences)
            )
        return FeatureCache(folder, key, index)
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise UsageError(f"feature cache {folder}: damaged ({error!r}); delete it") from error


def find_wider(root: Path, key: CacheKey, lengths: Mapping[int, int]) -> FeatureCache | None:
    """A cache that differs only in holding more episodes than these frame counts by id, if any."""
    for file, found in _keys(root):
        if found.differences(replace(key, episodes=found.episodes)):
            continue
        cache = read_cache(file.parent, found)
        if lengths.items() <= cache.shape.lengths.items():
            return cache
    return None


def remove_partial(root: Path, key: CacheKey) -> None:
    """Remove what killed processes left of a cache; only for who holds its lock."""
    for folder in root.glob(f"{key.name}{_PARTIAL}*"):
        shutil.rmtree(folder, ignore_errors=True)


def cosine_distance(one: Tensor, two: Tensor) -> Tensor:
    """1 - cosine over the last axis; two zeros are equal."""
    distance = 1 - functional.cosine_similarity(one, two, dim=-1)
    both = (one == 0).all(dim=-1) & (two == 0).all(dim=-1)
    return torch.where(both, torch.zeros_like(distance), distance)


def _map(file: Path, mode: Any, dtype: Any, shape: Sequence[int]) -> Memory:  # noqa: ANN401
    wanted = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if mode == "r":
        got = file.stat().st_size if file.is_file() else 0
        if got != wanted:
            raise UsageError(
                f"{file}: cut short or damaged: {got} bytes, needs {wanted}. Delete {file.parent}"
            )
    return np.memmap(file, dtype, mode, shape=tuple(shape))


def _nearest(root: Path, key: CacheKey) -> str:
    """What sets the most similar cache apart, as the end of a sentence."""
    nearest: tuple[int, Path, list[str]] | None = None
    for file, found in _keys(root):
        differences = found.differences(key)
        if nearest is None or len(differences) < nearest[0]:
            nearest = (len(differences), file.parent, differences)
    if nearest is None:
        return ""
    return f". The nearest, {nearest[1]}, has another\n  " + "\n  ".join(nearest[2])


def _keys(root: Path) -> Iterator[tuple[Path, CacheKey]]:
    """Every whole cache's index and key; what cannot be read is left out."""
    for file in sorted(root.glob(f"*/{INDEX}")):
        if _PARTIAL in file.parent.name:
            continue
        try:
            yield file, CacheKey.from_json(json.loads(file.read_text(encoding="utf-8"))["key"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
