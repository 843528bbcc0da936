"""Recording episodes: a subscriber that renders its own frames and pipes them to ffmpeg."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Env, EpisodeKey, EpisodeSpec, Status, upright

VIDEO_FPS = 10.0
"""Frames a second of simulated time: enough to see a grasp, at half the cost of every step."""

PARTIAL_SUFFIX = ".part.mp4"


class VideoMode(StrEnum):
    """Which episodes leave a video."""

    NONE = "none"
    ALL = "all"
    FAILURES = "failures"
    """All that did not succeed; frames are rendered always, since nobody knows before."""


def partial_path(run_folder: Path, key: EpisodeKey) -> Path:
    """Where an episode's video stands until the episode ends."""
    name = f"{_stem(key)}{PARTIAL_SUFFIX}"
    return run_folder / "videos" / key.suite / key.task / name


class VideoRecorder:
    """Writes `videos/<suite>/<task>/<init_state>_<seed>_<repeat>_<status>.mp4` (H.264).

    A video that cannot be written (no room, no ffmpeg) costs the video, never the episode.
    """

    def __init__(self, run_folder: Path, mode: VideoMode, warn: Callable[[str], None]) -> None:
        self._run_folder = run_folder
        self._mode = mode
        self._warn = warn
        self._writer: Any = None
        self._partial = Path()
        self._stem = ""
        self._every_steps = 1

    def on_reset(self, env: Env, episode: EpisodeSpec) -> None:
        """Start a file of its own."""
        self._stem = _stem(episode.key)
        self._partial = partial_path(self._run_folder, episode.key)
        self._every_steps = max(1, round(env.spec.action.hz / VIDEO_FPS))
        try:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            self._writer = _open_writer(self._partial, env, self._every_steps)
        except OSError as error:
            self._give_up(error)
        self._add_frame(env)

    def on_step(self, env: Env, action: NDArray[np.float64], steps: int) -> None:
        """Add a frame when one is due."""
        if steps % self._every_steps == 0:
            self._add_frame(env)

    def on_end(self, status: Status) -> str | None:
        """Close the file; keep it or not."""
        if self._writer is None:
            return None
        try:
            self._writer.close()
            self._writer = None
            if status is Status.SUCCESS and self._mode is VideoMode.FAILURES:
                self._partial.unlink()
                return None
            final = self._partial.with_name(f"{self._stem}_{status}.mp4")
            self._partial.replace(final)
        except (OSError, RuntimeError) as error:
            self._give_up(error)
            return None
        return final.relative_to(self._run_folder).as_posix()

    def _add_frame(self, env: Env) -> None:
        if self._writer is None:
            return
        camera = env.spec.camera(env.spec.video_camera)
        assert camera is not None
        frame = upright(env.observe([camera.name]).images[camera.name], camera.orientation)
        try:
            self._writer.send(np.ascontiguousarray(frame))
        except (OSError, RuntimeError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._warn(f"no video {self._partial}: {error}")
        self._writer = None
        with suppress(OSError):
            self._partial.unlink()


def _stem(key: EpisodeKey) -> str:
    return f"{key.init_state}_{key.seed}_{key.repeat}"


def _open_writer(path: Path, env: Env, every_steps: int) -> Any:  # noqa: ANN401 (untyped library)
    import imageio_ffmpeg

    camera = env.spec.camera(env.spec.video_camera)
    assert camera is not None
    quality = ["-preset", "veryfast", "-crf", "23", "-threads", "1", "-movflags", "+faststart"]
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (camera.width, camera.height),
        fps=env.spec.action.hz / every_steps,
        macro_block_size=2,
        quality=None,
        output_params=quality,
    )
    writer.send(None)
    return writer


def remove_partial(run_folder: Path, keys: Iterable[EpisodeKey]) -> None:
    """Delete what recorders of killed workers left of these episodes.

    Of no others: another shard may be recording them in the same folder.
    """
    own = {partial_path(run_folder, key) for key in keys}
    for path in (run_folder / "videos").rglob(f"*{PARTIAL_SUFFIX}"):
        if path in own:
            path.unlink(missing_ok=True)
