"""Recording episodes: a subscriber that renders its own frames and pipes them to ffmpeg."""

from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Env, EpisodeSpec, Status, upright

VIDEO_FPS = 10.0
"""Frames a second of simulated time: enough to see a grasp, at half the cost of every step."""

PARTIAL_SUFFIX = ".part.mp4"


class VideoMode(StrEnum):
    """Which episodes leave a video."""

    NONE = "none"
    ALL = "all"
    FAILURES = "failures"
    """All that did not succeed; frames are rendered always, since nobody knows before."""


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
        folder = self._run_folder / "videos" / episode.suite / episode.task
        self._stem = f"{episode.init_state}_{episode.seed}_{episode.repeat}"
        self._partial = folder / f"{self._stem}{PARTIAL_SUFFIX}"
        self._every_steps = max(1, round(env.spec.action.hz / VIDEO_FPS))
        try:
            folder.mkdir(parents=True, exist_ok=True)
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


def remove_partial(run_folder: Path) -> None:
    """Delete what recorders of killed workers left behind."""
    for path in (run_folder / "videos").rglob(f"*{PARTIAL_SUFFIX}"):
        with suppress(FileNotFoundError):
            path.unlink()
