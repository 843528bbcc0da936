"""Names and shapes of the LeRobot v3.0 layout."""

from collections.abc import Mapping
from typing import Any

from sfbench.contracts import VectorSpec
from sfbench.demos import video
from sfbench.demos.spec import DatasetSpec

VERSION_3, VERSION_2 = "v3.0", "v2.1"

STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."
INFO, STATISTICS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"

OURS, SUBSETS = "meta/sfbench.json", "meta/subsets.json"
EXTRAS = "extras/chunk-{chunk:03d}/episode_{episode:06d}.h5"
"""What this project adds; other readers do not look there."""

FILES_PER_CHUNK = 1000
DATA_FILE_MB, VIDEO_FILE_MB = 100, 200
"""A file is closed when the next episode would make it larger."""


def image_key(camera: str) -> str:
    """The feature of a camera."""
    return IMAGES + camera


def camera_name(key: str) -> str:
    """The camera of a feature; foreign keys may lack the usual prefix."""
    return key.removeprefix(IMAGES)


def chunk_of(number: int) -> dict[str, int]:
    """Chunk and file index of the n-th file."""
    return {"chunk_index": number // FILES_PER_CHUNK, "file_index": number % FILES_PER_CHUNK}


def extras_path(episode: int) -> str:
    """Where an episode's extras lie."""
    return EXTRAS.format(chunk=episode // FILES_PER_CHUNK, episode=episode)


def features(spec: DatasetSpec) -> dict[str, Any]:
    """The `features` of info.json."""
    single = {"dtype": "int64", "shape": [1], "names": None}
    return {
        STATE: _vector_feature(spec.state_size, spec.state),
        ACTION: _vector_feature(spec.action_size, spec.action),
        **{
            image_key(camera.name): {
                "dtype": "video",
                "shape": [camera.height, camera.width, 3],
                "names": ["height", "width", "channels"],
                "info": {
                    "video.height": camera.height,
                    "video.width": camera.width,
                    "video.codec": "h264",
                    "video.pix_fmt": "gbrp",
                    "video.is_depth_map": False,
                    "video.fps": _whole(spec.fps),
                    "video.channels": 3,
                    "video.g": video.GOP,
                    "has_audio": False,
                },
            }
            for camera in spec.cameras
        },
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        "frame_index": single,
        "episode_index": single,
        "index": single,
        "task_index": single,
    }


def info(spec: DatasetSpec, episodes: int, frames: int, tasks: int) -> dict[str, Any]:
    """The contents of info.json."""
    return {
        "codebase_version": VERSION_3,
        "robot_type": spec.suite,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": DATA_FILE_MB,
        "video_files_size_in_mb": VIDEO_FILE_MB,
        "fps": _whole(spec.fps),
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA,
        "video_path": VIDEO,
        "features": features(spec),
    }


def vector_features(declared: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The keys of the state and the action among declared features; None where there is none."""
    keys = (STATE if STATE in declared else None, ACTION if ACTION in declared else None)
    # Datasets made for openpi have bare names.
    state = keys[0] or ("state" if "state" in declared else None)
    return state, keys[1] or ("actions" if "actions" in declared else None)


def _vector_feature(size: int, layout: VectorSpec | None) -> dict[str, Any]:
    names = None
    if layout is not None:
        names = [f"{part.name}.{number}" for part in layout.parts for number in range(part.size)]
    return {"dtype": "float32", "shape": [size], "names": names}


def _whole(fps: float) -> int | float:
    return int(fps) if fps == int(fps) else fps
