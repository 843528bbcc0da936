"""Episodes on their way into a dataset: one folder each, complete or not there at all."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.demos.content import ContentHash
from sfbench.demos.extras import ExtrasWriter
from sfbench.demos.image_statistics import ImageStatistics
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import DatasetSpec
from sfbench.demos.video import VideoWriter
from sfbench.errors import StoppedError

PARTIAL_SUFFIX = ".partial"
_DESCRIPTION, _TABLES, _EXTRAS = "episode.json", "tables.npz", "extras.h5"


@dataclass(frozen=True, slots=True)
class StagedEpisode:
    """A complete episode in a folder.

    Attributes:
        folder: where.
        info: what is known of it; its index is not yet final.
        image_statistics: camera to sums over some of its pixels; see ImageStatistics.
    """

    folder: Path
    info: EpisodeInfo
    image_statistics: Mapping[str, ImageStatistics]

    @classmethod
    def read(cls, folder: Path) -> "StagedEpisode":
        """What a folder holds. Raises StoppedError if it is not a staged episode."""
        path = folder / _DESCRIPTION
        try:
            data = json.loads(path.read_text())
            info = EpisodeInfo(**data["info"])
            images = {name: ImageStatistics(**sums) for name, sums in data["images"].items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoppedError(
                f"{path} cannot be read: {error}. The journal says that this episode was recorded; "
                "restore the folder, or collect into a new one"
            ) from error
        return cls(folder, info, images)

    def video(self, camera: str) -> Path:
        """The camera's video."""
        return self.folder / f"{camera}.mp4"

    @property
    def extras(self) -> Path:
        """The file of extras; there only if the spec names some."""
        return self.folder / _EXTRAS

    def vectors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """States [T, S] and actions [T, A]."""
        with np.load(self.folder / _TABLES, allow_pickle=False) as tables:
            return tables["state"], tables["actions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is recorded at one frame; actions come apart.

    Attributes:
        images: camera to uint8 [H, W, 3].
        state: [S].
        extras: name to one row; see DemoBatch.
    """

    images: Mapping[str, NDArray[np.uint8]]
    state: NDArray[np.float64]
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class EpisodeWriter:
    """Writes an episode frame by frame into `<folder>.partial`; `finish` gives it its name.

    A process killed in between leaves only the partial folder, which the next attempt removes.
    """

    def __init__(self, folder: Path, spec: DatasetSpec) -> None:
        self._folder, self._spec = folder, spec
        self._partial = folder.with_name(folder.name + PARTIAL_SUFFIX)
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._videos = {
            camera.name: VideoWriter(
                self._partial / f"{camera.name}.mp4", spec.fps, camera.height, camera.width
            )
            for camera in spec.cameras
        }
        self._extras = ExtrasWriter(self._partial / _EXTRAS) if spec.extras else None
        self._sums = {camera.name: ImageStatistics() for camera in spec.cameras}
        self._states: list[NDArray[np.float32]] = []
        self._actions: list[NDArray[np.float32]] = []
        self._content = ContentHash()

    def add(self, moment: Moment, action: NDArray[np.float64]) -> None:
        """Append a frame and the action taken there."""
        state = np.asarray(moment.state, np.float32)
        taken = np.asarray(action, np.float32)
        for name, writer in self._videos.items():
            writer.add(moment.images[name])
            self._content.add(f"images/{name}", moment.images[name])
            self._sums[name].add(moment.images[name], len(self._states))
        if self._extras is not None:
            self._extras.add(moment.extras)
        self._content.add("state", state)
        self._content.add("actions", taken)
        self._states.append(state)
        self._actions.append(taken)

    def finish(self, info: EpisodeInfo, object_names: tuple[str, ...] = ()) -> EpisodeInfo:
        """Complete the folder; returns `info` with length and content hash.

        Raises:
            StoppedError: no room.
        """
        self._close(object_names)
        full = replace(
            info, length=len(self._actions), content=self._content.finish(info.instruction)
        )
        sums = {name: asdict(item) for name, item in self._sums.items()}
        try:
            np.savez(
                self._partial / _TABLES,
                state=np.stack(self._states),
                actions=np.stack(self._actions),
            )
            (self._partial / _DESCRIPTION).write_text(
                json.dumps({"info": asdict(full), "images": sums})
            )
            shutil.rmtree(self._folder, ignore_errors=True)
            self._partial.rename(self._folder)
        except OSError as error:
            raise StoppedError(f"cannot write {self._folder}: {error.strerror}") from error
        return full

    def discard(self) -> None:
        """Drop what was written."""
        try:
            self._close(())
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def _close(self, object_names: tuple[str, ...]) -> None:
        for writer in self._videos.values():
            writer.close()
        if self._extras is not None:
            self._extras.close(object_names)
