"""LIBERO's demonstration files as a dataset for training, without converting them.

The files hold images and states as they were *after* each action, see `demos`. A dataset's frame is
what was seen before its action, so frame t is the file's observation t with its action t + 1: each
demonstration loses its first action.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Orientation, RotationSign
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import DatasetSpec, spec_of
from sfbench.demos.statistics import Statistics, statistics_of_tables
from sfbench.errors import DatasetError, UnknownNameError

from .catalog import find_task
from .demos import IMAGE_SETS
from .spec import env_spec

Vectors = tuple[NDArray[np.float32], NDArray[np.float32]]


def demonstration_files(path: Path) -> list[Path]:
    """The HDF5 files at a path, by name; empty where there are none."""
    if path.is_file():
        return [path] if path.suffix in (".hdf5", ".h5") else []
    return sorted(path.glob("*_demo.hdf5"))


@dataclass(frozen=True, slots=True)
class _Place:
    file: Path
    group: str


class LiberoSource:
    """Implements `sfbench.demos.source.Source`; pickled, it is only paths and metadata."""

    def __init__(self, path: Path) -> None:
        """Look into every file. Raises DatasetError if one is damaged or of no LIBERO task."""
        self._files = demonstration_files(path)
        self._open: dict[Path, Any] = {}
        self._vectors: dict[int, Vectors] = {}
        self._places: list[_Place] = []
        found: list[EpisodeInfo] = []
        for file in self._files:
            for group, info in self._episodes_of(file, len(found)):
                self._places.append(_Place(file, group))
                found.append(info)
        self.episodes: Sequence[EpisodeInfo] = tuple(found)
        self.spec = self._read_spec()

    def __getstate__(self) -> dict[str, Any]:
        """Without what is open or cached."""
        empty: dict[str, Any] = {"_open": {}, "_vectors": {}}
        return {**self.__dict__, **empty}

    def vectors(self, episode: int) -> Vectors:
        """See Source."""
        if episode not in self._vectors:
            tables = [
                self._table(episode, name)
                for name in ("obs/ee_states", "obs/gripper_states", "actions")
            ]
            state = np.concatenate(tables[:2], axis=1)[:-1].astype(np.float32)
            self._vectors[episode] = (state, tables[2][1:].astype(np.float32))
        return self._vectors[episode]

    def frames(self, episode: int, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """See Source."""
        self.spec.camera(camera)
        rows = self._table(episode, f"obs/{IMAGE_SETS[camera]}", indices)
        return rows.astype(np.uint8, copy=False)

    def extra_rows(self, episode: int, name: str, indices: Sequence[int]) -> NDArray[Any]:
        """See Source; the files have none."""
        self.spec.check_extras([name])
        raise AssertionError("unreachable: the spec names no extras")

    def statistics(self) -> Statistics:
        """See Source; computed, as the files have none."""
        tables = [self.vectors(episode.index) for episode in self.episodes]
        return statistics_of_tables([one for one, _ in tables], [two for _, two in tables])

    def subsets(self) -> dict[str, tuple[int, ...]]:
        """See Source; the files have none."""
        return {}

    def content_hash(self) -> str:
        """See Source: of the files' names and bytes."""
        digest = hashlib.sha256()
        for path in self._files:
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()[:16]

    def close(self) -> None:
        """See Source."""
        while self._open:
            self._open.popitem()[1].close()

    def _episodes_of(self, path: Path, first: int) -> list[tuple[str, EpisodeInfo]]:
        try:
            data = self._file(path)["data"]
            task = find_task(Path(str(data.attrs["bddl_file_name"])).stem)
            words = str(json.loads(data.attrs["problem_info"])["language_instruction"]).strip('"')
            names = [name for name in data if name.startswith("demo_")]
            names.sort(key=lambda name: int(name.removeprefix("demo_")))
            return [
                (name, _info(first + place, task.name, words, data[name]))
                for place, name in enumerate(names)
            ]
        except (KeyError, ValueError, OSError, UnknownNameError) as error:
            raise DatasetError(f"{path} is not of LIBERO's layout: {error}") from error

    def _read_spec(self) -> DatasetSpec:
        size = int(self._file(self._places[0].file)[self._image_path(0)].shape[1])
        env = env_spec(size, Orientation.BOTTOM_UP, RotationSign.AS_SIMULATED)
        return spec_of(find_task(self.episodes[0].task).suite, env, tuple(IMAGE_SETS))

    def _image_path(self, episode: int) -> str:
        first = next(iter(IMAGE_SETS.values()))
        return f"data/{self._places[episode].group}/obs/{first}"

    def _table(self, episode: int, name: str, indices: Sequence[int] | None = None) -> NDArray[Any]:
        place = self._places[episode]
        try:
            table = self._file(place.file)[f"data/{place.group}/{name}"]
            if indices is None:
                return np.asarray(table[()])
            return np.stack([table[int(index)] for index in indices])
        except (KeyError, OSError, IndexError, ValueError) as error:
            raise DatasetError(
                f"{place.file}: data/{place.group}/{name} cannot be read: {error}"
            ) from error

    def _file(self, path: Path) -> Any:  # noqa: ANN401 (h5py has no types)
        if path not in self._open:
            try:
                self._open[path] = h5py.File(path, "r")
            except OSError as error:
                raise DatasetError(f"{path} is no HDF5 file, or damaged: {error}") from error
        return self._open[path]


def _info(index: int, task: str, instruction: str, group: Any) -> EpisodeInfo:  # noqa: ANN401
    start = np.asarray(group.attrs["init_state"], np.float64)
    return EpisodeInfo(
        index=index,
        task=task,
        instruction=instruction,
        length=len(group["actions"]) - 1,
        state_hash=hashlib.sha256(start.tobytes()).hexdigest()[:16],
    )
