"""Writing a dataset folder from staged episodes."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sfbench.contracts import Json
from sfbench.demos import video
from sfbench.demos.content import dataset_hash
from sfbench.demos.image_statistics import ImageStatistics
from sfbench.demos.lerobot import layout
from sfbench.demos.lerobot.tables import FrameTables, episode_table
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import DatasetSpec
from sfbench.demos.staging import StagedEpisode
from sfbench.demos.statistics import VectorStatistics, vector_statistics
from sfbench.demos.subsets import SEED, stored_subsets, subset_hash
from sfbench.errors import StoppedError

SCHEMA = 1
"""Of meta/sfbench.json."""

_BUILDING = ".building"
_PARTS = ("data", "videos", "extras", "meta")
"""In the order in which they get their names; a folder with `meta` is complete."""


def is_complete(folder: Path) -> bool:
    """Whether a dataset was written there to its end."""
    return (folder / layout.INFO).exists()


def write_dataset(
    folder: Path,
    spec: DatasetSpec,
    staged: Sequence[StagedEpisode],
    collection: Mapping[str, Json],
) -> None:
    """Write a dataset into `folder`, which may hold other things beside it.

    Args:
        folder: where; left without a dataset if this is interrupted.
        spec: the conventions.
        staged: the episodes, in their final order; their folders are kept.
        collection: how they were collected, for meta/sfbench.json.

    Raises:
        StoppedError: no room.
    """
    building = folder / _BUILDING
    try:
        shutil.rmtree(building, ignore_errors=True)
        _Builder(building, spec, staged).write(collection)
        for part in _PARTS:
            shutil.rmtree(folder / part, ignore_errors=True)
            if (building / part).exists():
                (building / part).rename(folder / part)
        building.rmdir()
    except OSError as error:
        raise StoppedError(
            f"cannot write {folder}: {error}. The recorded episodes are kept; make room and run "
            "the same command again"
        ) from error


class _Builder:
    def __init__(self, root: Path, spec: DatasetSpec, staged: Sequence[StagedEpisode]) -> None:
        self._root, self._spec, self._staged = root, spec, staged
        self._episodes = tuple(replace(item.info, index=index) for index, item in enumerate(staged))
        self._instructions = list(dict.fromkeys(item.instruction for item in self._episodes))
        self._rows: list[dict[str, Any]] = [_episode_row(item) for item in self._episodes]

    def write(self, collection: Mapping[str, Json]) -> None:
        (self._root / "meta").mkdir(parents=True)
        vectors = self._write_data()
        for camera in self._spec.cameras:
            self._write_videos(camera.name)
        self._copy_extras()
        self._write_meta(vectors, collection)

    def _write_data(self) -> dict[str, VectorStatistics]:
        tables = FrameTables(self._root, self._spec, self._instructions)
        states, actions = [], []
        for row, episode, staged in zip(self._rows, self._episodes, self._staged, strict=True):
            state, action = staged.vectors()
            row.update(tables.add(episode, state, action))
            for key, values in ((layout.STATE, state), (layout.ACTION, action)):
                _add_statistics(row, key, _vector_json(vector_statistics(values), len(values)))
            states.append(state)
            actions.append(action)
        tables.close()
        return {
            layout.STATE: vector_statistics(np.concatenate(states)),
            layout.ACTION: vector_statistics(np.concatenate(actions)),
        }

    def _write_videos(self, camera: str) -> None:
        key = layout.image_key(camera)
        for number, group in enumerate(_groups(self._staged, camera)):
            place = layout.chunk_of(number)
            path = self._root / layout.VIDEO.format(video_key=key, **place)
            path.parent.mkdir(parents=True, exist_ok=True)
            video.join([self._staged[index].video(camera) for index in group], path)
            start = 0
            for index in group:
                end = start + self._episodes[index].length
                self._rows[index] |= {
                    **{f"videos/{key}/{name}": value for name, value in place.items()},
                    f"videos/{key}/from_timestamp": start / self._spec.fps,
                    f"videos/{key}/to_timestamp": end / self._spec.fps,
                }
                start = end
        for row, staged in zip(self._rows, self._staged, strict=True):
            _add_statistics(row, key, staged.image_statistics[camera].to_lerobot())

    def _copy_extras(self) -> None:
        if not self._spec.extras:
            return
        for index, staged in enumerate(self._staged):
            path = self._root / layout.extras_path(index)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(staged.extras, path)
            except OSError:
                shutil.copyfile(staged.extras, path)

    def _write_meta(
        self, vectors: Mapping[str, VectorStatistics], collection: Mapping[str, Json]
    ) -> None:
        frames = sum(item.length for item in self._episodes)
        path = self._root / layout.EPISODES.format(**layout.chunk_of(0))
        path.parent.mkdir(parents=True)
        pq.write_table(episode_table(self._rows), path)
        # An index named `task` besides the numbers is what pandas makes of this.
        tasks = pa.table({"task_index": list(range(len(self._instructions)))})
        tasks = tasks.append_column("__index_level_0__", pa.array(self._instructions))
        pq.write_table(tasks.replace_schema_metadata(_PANDAS_INDEX), self._root / layout.TASKS)
        statistics = {key: _vector_json(value, frames) for key, value in vectors.items()}
        statistics |= {
            layout.image_key(camera.name): self._image_statistics(camera.name)
            for camera in self._spec.cameras
        }
        self._json(layout.STATISTICS, statistics)
        self._json(layout.SUBSETS, _subsets_json(self._spec, self._episodes))
        ours = {
            "schema": SCHEMA,
            "hash": dataset_hash(self._spec, self._episodes),
            "spec": self._spec.to_json(),
            "codec": {"name": "H.264 RGB, quantiser 0", "error_levels": video.ERROR_LEVELS},
            "collection": dict(collection),
            "episodes": [asdict(item) for item in self._episodes],
        }
        self._json(layout.OURS, ours)
        count = len(self._episodes)
        self._json(layout.INFO, layout.info(self._spec, count, frames, len(self._instructions)))

    def _image_statistics(self, camera: str) -> dict[str, Any]:
        total = ImageStatistics()
        for staged in self._staged:
            total.merge(staged.image_statistics[camera])
        return total.to_lerobot()

    def _json(self, name: str, value: object) -> None:
        (self._root / name).write_text(json.dumps(value, indent=1) + "\n")


_PANDAS_INDEX = {
    b"pandas": json.dumps(
        {
            "index_columns": ["__index_level_0__"],
            "column_indexes": [],
            "columns": [
                {
                    "name": "task_index",
                    "field_name": "task_index",
                    "pandas_type": "int64",
                    "numpy_type": "int64",
                    "metadata": None,
                },
                {
                    "name": None,
                    "field_name": "__index_level_0__",
                    "pandas_type": "unicode",
                    "numpy_type": "object",
                    "metadata": None,
                },
            ],
            "pandas_version": "2.2.0",
        }
    ).encode()
}
"""Tells pandas that the instructions are the table's index, as LeRobot expects."""


def _episode_row(episode: EpisodeInfo) -> dict[str, Any]:
    meta = {f"meta/episodes/{name}": value for name, value in layout.chunk_of(0).items()}
    return {
        "episode_index": episode.index,
        "tasks": [episode.instruction],
        "length": episode.length,
        **meta,
    }


def _groups(staged: Sequence[StagedEpisode], camera: str) -> Iterator[list[int]]:
    """Episodes that go into one video file, by its size."""
    group: list[int] = []
    size = 0
    for index, item in enumerate(staged):
        more = item.video(camera).stat().st_size
        if group and size + more > layout.VIDEO_FILE_MB * 2**20:
            yield group
            group, size = [], 0
        group.append(index)
        size += more
    yield group


def _vector_json(statistics: VectorStatistics, frames: int) -> dict[str, Any]:
    return {**statistics.to_json(), "count": [frames]}


def _add_statistics(row: dict[str, Any], key: str, values: Mapping[str, Any]) -> None:
    row.update({f"stats/{key}/{name}": value for name, value in values.items()})


def _subsets_json(spec: DatasetSpec, episodes: Sequence[EpisodeInfo]) -> dict[str, Any]:
    whole = dataset_hash(spec, episodes)
    return {
        "seed": SEED,
        "rule": "prefixes of one seeded order, balanced over tasks, at least one episode a task",
        "subsets": {
            name: {"episodes": list(chosen), "hash": subset_hash(episodes, chosen, lambda: whole)}
            for name, chosen in stored_subsets(episodes).items()
        },
    }
