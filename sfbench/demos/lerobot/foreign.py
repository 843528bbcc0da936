"""What can be said of a LeRobot dataset that this project did not write."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sfbench.contracts import CameraSpec
from sfbench.demos.lerobot import layout
from sfbench.demos.lerobot.episodes import EpisodePlace, image_keys, video_keys
from sfbench.demos.source import EpisodeInfo
from sfbench.demos.spec import DatasetSpec
from sfbench.errors import DatasetError


def foreign_spec(info: Mapping[str, Any]) -> DatasetSpec:
    """Sizes and rate; the layout says nothing about conventions.

    Cameras count as upright: see `foreign_images` for whoever has to know.
    """
    features = info["features"]
    state, action = layout.vector_features(features)
    if state is None or action is None:
        raise DatasetError(
            f"the dataset has no features '{layout.STATE}' and '{layout.ACTION}'; it has "
            + ", ".join(features)
        )
    return DatasetSpec(
        suite=None,
        fps=float(info["fps"]),
        cameras=tuple(
            _camera(key, features[key]) for key in (*video_keys(info), *image_keys(info))
        ),
        state_size=int(features[state]["shape"][0]),
        action_size=int(features[action]["shape"][0]),
    )


def foreign_episodes(places: Sequence[EpisodePlace]) -> tuple[EpisodeInfo, ...]:
    """Episodes whose instruction stands for their task."""
    return tuple(
        EpisodeInfo(
            index=index,
            task=place.instruction,
            instruction=place.instruction,
            length=place.length,
        )
        for index, place in enumerate(places)
    )


def file_hash(root: Path) -> str:
    """Of every file's relative path and bytes, 16 hex digits."""
    digest = hashlib.sha256()
    for folder in ("meta", "data", "videos"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file():
                digest.update(path.relative_to(root).as_posix().encode())
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _camera(key: str, feature: Mapping[str, Any]) -> CameraSpec:
    shape, names = list(feature["shape"]), list(feature.get("names") or ())
    # Most write height, width, channels; some put the channels first.
    first = names[0] if names else ""
    channels_first = str(first).startswith("c") or (not names and shape[0] == 3)
    height, width = (shape[1], shape[2]) if channels_first else (shape[0], shape[1])
    return CameraSpec(name=layout.camera_name(key), height=int(height), width=int(width))
