"""Video of demonstrations: written without loss, and read one frame at a time.

Codec: H.264 High 4:4:4 Predictive in RGB, quantiser 0, so every pixel comes back as it was. Every
second frame is a key frame, so that a frame anywhere costs at most two to decode.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from sfbench.errors import DatasetError, StoppedError

CODEC = "libx264rgb"
PIXELS = "rgb24"
GOP = 2
OPTIONS = {"qp": "0", "preset": "veryfast"}

ERROR_LEVELS = 0
"""Largest difference of a pixel's channel between what was written and what is read, of 255."""


class VideoWriter:
    """Encodes frames into a file as they come."""

    def __init__(self, path: Path, fps: float, height: int, width: int) -> None:
        self._path = path
        self._container: Any = av.open(str(path), "w")
        stream: Any = self._container.add_stream(
            CODEC, rate=Fraction(fps).limit_denominator(10_000)
        )
        stream.height, stream.width, stream.pix_fmt = height, width, PIXELS
        stream.options = dict(OPTIONS)
        context = stream.codec_context
        context.gop_size, context.max_b_frames, context.thread_count = GOP, 0, 1
        self._stream: Any = stream

    def add(self, image: NDArray[np.uint8]) -> None:
        """Append a frame [H, W, 3]. Raises StoppedError where the disk refuses it."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=PIXELS)
        self._mux(frame)

    def close(self) -> None:
        """Finish the file. Raises StoppedError where the disk refuses it."""
        self._mux(None)
        try:
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise StoppedError(f"cannot write {self._path}: {error}") from error

    def _mux(self, frame: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise StoppedError(f"cannot write {self._path}: {error}") from error


class VideoFile:
    """A video that stays open; frames are read by number, in any order."""

    def __init__(self, path: Path) -> None:
        """Open. Raises DatasetError if the file is missing or no video."""
        self._path = path
        try:
            self._container: Any = av.open(str(path))
            self._stream: Any = self._container.streams.video[0]
        except (av.FFmpegError, OSError, IndexError) as error:
            raise self._damaged(f"cannot be opened ({error})") from error
        self._stream.thread_type = "NONE"
        self._stream.codec_context.thread_count = 1
        # What a decoder cannot make sense of is an error, instead of a grey patch.
        self._stream.codec_context.options = {"err_detect": "explode"}
        stream: Any = self._stream
        self._ticks = 1 / ((stream.average_rate or stream.guessed_rate) * stream.time_base)
        self._first = stream.start_time or 0
        # Kept: making one for each frame takes as long as decoding it.
        self._reformatter = VideoReformatter()
        self._decoded: Iterator[Any] = iter(())
        self._next = -1

    def frames(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """Frames [n, H, W, 3], RGB. Raises DatasetError if one is missing or damaged."""
        return np.stack([self._frame(int(number)) for number in numbers])

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _frame(self, number: int) -> NDArray[np.uint8]:
        wanted = self._first + round(number * self._ticks)
        try:
            if number != self._next:
                self._next = -1
                self._container.seek(wanted, stream=self._stream, backward=True)
                self._decoded = self._container.decode(self._stream)
            # Half a frame of tolerance: other writers round timestamps.
            frame = next(item for item in self._decoded if item.pts > wanted - self._ticks / 2)
            if frame.pts >= wanted + self._ticks / 2:
                raise self._damaged(f"has no frame {number}")
            if frame.is_corrupt:
                raise self._damaged(f"frame {number} is corrupt")
            turned: Any = self._reformatter.reformat(frame, format=PIXELS)
            pixels: NDArray[np.uint8] = turned.to_ndarray()
        except StopIteration as error:
            raise self._damaged(f"has no frame {number}") from error
        except (av.FFmpegError, OSError) as error:
            raise self._damaged(f"frame {number} cannot be decoded ({error})") from error
        self._next = number + 1
        return pixels

    def _damaged(self, what: str) -> DatasetError:
        return DatasetError(
            f"video {self._path} {what}; episodes in other files can still be read. "
            "`python -m sfbench.demos.check DATASET` lists what is damaged"
        )


def join(paths: Sequence[Path], out: Path) -> None:
    """Put videos of one kind one after the other, without decoding them.

    Raises:
        StoppedError: no room.
    """
    try:
        with av.open(str(out), "w") as target:
            stream: Any = None
            offset = 0
            for path in paths:
                with av.open(str(path)) as part:
                    source: Any = part.streams.video[0]
                    if stream is None:
                        stream = target.add_stream_from_template(source)
                        stream.time_base = source.time_base
                    offset = _append(part, source, target, stream, offset)
    except (av.FFmpegError, OSError) as error:
        raise StoppedError(f"cannot write {out}: {error}") from error


def _append(part: Any, source: Any, target: Any, stream: Any, offset: int) -> int:  # noqa: ANN401
    """Copy one video's packets, `offset` ticks later; returns where the next one starts."""
    ticks: int = round(1 / (source.average_rate * source.time_base))
    count = 0
    for packet in part.demux(source):
        if packet.dts is None:
            continue  # The end of the file.
        packet.pts = packet.dts = offset + count * ticks
        packet.stream = stream
        target.mux(packet)
        count += 1
    return offset + count * ticks
