"""Any dataset, written anew in this project's folder layout."""

import shutil
from pathlib import Path

import numpy as np

from sfbench.contracts import Json
from sfbench.demos.lerobot.write import is_complete, write_dataset
from sfbench.demos.source import Source
from sfbench.demos.staging import EpisodeWriter, Moment, StagedEpisode
from sfbench.errors import DatasetError

_STAGING = ".staging"
_AT_ONCE = 64
"""Frames read at a time."""


def save(source: Source, folder: Path, collection: dict[str, Json] | None = None) -> None:
    """Write every episode of a source to a new dataset folder.

    Raises:
        DatasetError: there is a dataset already, or the source is damaged.
        StoppedError: no room.
    """
    if is_complete(folder):
        raise DatasetError(f"{folder} holds a dataset already; name another folder")
    staging = folder / _STAGING
    try:
        staged = [_stage(source, index, staging) for index in range(len(source.episodes))]
        write_dataset(folder, source.spec, staged, collection or {})
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _stage(source: Source, index: int, staging: Path) -> StagedEpisode:
    info, spec = source.episodes[index], source.spec
    states, actions = source.vectors(index)
    writer = EpisodeWriter(staging / f"{index:06d}", spec)
    for start in range(0, info.length, _AT_ONCE):
        frames = range(start, min(start + _AT_ONCE, info.length))
        images = {camera.name: source.frames(index, camera.name, frames) for camera in spec.cameras}
        extras = {name: source.extra_rows(index, name, frames) for name in spec.extras}
        for place, frame in enumerate(frames):
            moment = Moment(
                images={name: table[place] for name, table in images.items()},
                state=np.asarray(states[frame], np.float64),
                extras={name: table[place] for name, table in extras.items()},
            )
            writer.add(moment, np.asarray(actions[frame], np.float64))
    writer.finish(info)
    return StagedEpisode.read(staging / f"{index:06d}")
