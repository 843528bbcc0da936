"""What whoever trains says of a foreign dataset's images, which the layout does not tell.

Public LIBERO sets, for one, hold robosuite's images turned by 180 degrees, which exchanges left and
right, under names of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Orientation, stable_hash
from sfbench.demos.source import EpisodeInfo, Source
from sfbench.demos.spec import DatasetSpec
from sfbench.demos.statistics import Statistics
from sfbench.errors import UnknownNameError, UsageError

_KEY = "foreign.orientation"
_MEANINGS = {
    Orientation.UPRIGHT: "row 0 is the top, column 0 the left",
    Orientation.MIRRORED: "left and right are exchanged, as in the public LIBERO sets",
    Orientation.BOTTOM_UP: "row 0 is the bottom",
}


@dataclass
class ForeignImages:
    """The keys `foreign.KEY=`.

    Attributes:
        orientation: `upright`, `mirrored` or `bottom_up`; has to be said of a foreign dataset.
        cameras: other names for the dataset's cameras, as [image:agentview]; the rest keep theirs.
    """

    orientation: str | None = None
    cameras: list[str] = field(default_factory=list)

    def new_names(self) -> dict[str, str]:
        """A camera's new name by the dataset's. Raises UsageError for what is no such pair."""
        found: dict[str, str] = {}
        for text in self.cameras:
            old, colon, new = text.partition(":")
            if not (old and colon and new):
                raise UsageError(
                    f"foreign.cameras=[{text}]: allowed are the dataset's name and the new one, as "
                    "[image:agentview]"
                )
            found[old] = new
        return found


def as_said(source: Source, name: str, images: ForeignImages) -> Source:
    """A dataset with its images' orientation and its cameras' names as they were said.

    Args:
        source: as opened; one that says so itself comes back as it is.
        name: of the dataset, for errors.
        images: what is said.

    Raises:
        UsageError: the orientation is not said, or something is of a dataset that says so itself;
            a camera has no new name, or that of another.
        UnknownNameError: no such orientation, or no such camera of the dataset.
    """
    if source.spec.suite is not None:
        if images != ForeignImages():
            raise UsageError(
                f"dataset {name} says itself how its images lie and what its cameras are called; "
                "leave foreign.orientation and foreign.cameras out"
            )
        return source
    if images.orientation is None:
        raise UsageError(
            f"dataset {name} does not say how its images lie. Look at one, and type "
            + ", or ".join(f"{_KEY}={one} ({meaning})" for one, meaning in _MEANINGS.items())
        )
    if images.orientation not in list(Orientation):
        raise UnknownNameError(f"value of {_KEY}", images.orientation, Orientation)
    return ForeignSource(source, Orientation(images.orientation), images.new_names())


def naming_hint(spec: DatasetSpec) -> str:
    """What to type where a camera of a foreign dataset has another name than is looked for."""
    if spec.suite is not None:
        return ""
    names = ", ".join(camera.name for camera in spec.cameras)
    return (
        f"\nThe dataset's cameras are {names}; other names are given to them with "
        "'foreign.cameras=[NAME:NEW_NAME,...]'"
    )


class ForeignSource:
    """Implements `sfbench.demos.source.Source`: another one, its cameras described anew."""

    def __init__(
        self, source: Source, orientation: Orientation, cameras: Mapping[str, str]
    ) -> None:
        """See `as_said`; `cameras` are new names by old ones."""
        given = [camera.name for camera in source.spec.cameras]
        for old in cameras:
            if old not in given:
                raise UnknownNameError("camera of the dataset in foreign.cameras", old, given)
        names = [cameras.get(old, old) for old in given]
        if len(set(names)) < len(names):
            raise UsageError(
                f"foreign.cameras: two cameras would have one name; the dataset has "
                f"{', '.join(given)}, which would be {', '.join(names)}"
            )
        self._source, self._given = source, dict(zip(names, given, strict=True))
        self.spec: DatasetSpec = replace(
            source.spec,
            cameras=tuple(
                replace(camera, name=name, orientation=orientation)
                for camera, name in zip(source.spec.cameras, names, strict=True)
            ),
        )
        self.episodes: Sequence[EpisodeInfo] = source.episodes

    def vectors(self, episode: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See Source."""
        return self._source.vectors(episode)

    def frames(self, episode: int, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """See Source."""
        self.spec.camera(camera)
        return self._source.frames(episode, self._given[camera], indices)

    def extra_rows(self, episode: int, name: str, indices: Sequence[int]) -> NDArray[Any]:
        """See Source."""
        return self._source.extra_rows(episode, name, indices)

    def statistics(self) -> Statistics | None:
        """See Source."""
        return self._source.statistics()

    def subsets(self) -> dict[str, tuple[int, ...]]:
        """See Source."""
        return self._source.subsets()

    def content_hash(self) -> str:
        """See Source. What was said counts, as a dataset's own conventions do."""
        cameras = self.spec.to_json()["cameras"]
        return stable_hash([self._source.content_hash(), cameras])

    def close(self) -> None:
        """See Source."""
        self._source.close()
