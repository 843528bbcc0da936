"""Pictures for talks: a grid of many episodes in one video, and key frames."""

from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TILE_WIDTH, TILE_HEIGHT = 240, 180
FPS = 10
MAX_TILES = 36
MAX_FRAMES = 300
_BORDERS = {"success": (0, 158, 115), "failure": (213, 94, 0)}
_BORDER_PX = 4


def write_mosaic(videos: Sequence[tuple[Path, str]], out: Path) -> None:
    """Play episodes side by side, each framed by how it ended; a short one rests on its last frame.

    Args:
        videos: path and status, in the order of tiles; at most MAX_TILES are shown.
        out: an mp4 file.
    """
    import imageio_ffmpeg

    readers = [_Tile(path, status) for path, status in videos[:MAX_TILES]]
    columns = ceil(sqrt(len(readers)))
    rows = ceil(len(readers) / columns)
    size = (columns * TILE_WIDTH, rows * TILE_HEIGHT)
    writer = imageio_ffmpeg.write_frames(str(out), size, fps=FPS, macro_block_size=2)
    writer.send(None)
    blank = np.zeros((TILE_HEIGHT, TILE_WIDTH, 3), np.uint8)
    for _ in range(MAX_FRAMES):
        tiles = [reader.next() for reader in readers]
        tiles += [blank] * (rows * columns - len(tiles))
        grid = [np.hstack(tiles[row * columns : (row + 1) * columns]) for row in range(rows)]
        writer.send(np.ascontiguousarray(np.vstack(grid)))
        if all(reader.ended for reader in readers):
            break
    writer.close()


def write_key_frames(video: Path, out: Path) -> None:
    """First, middle and last frame of a video, side by side, as PNG."""
    import imageio.v3 as iio

    frames = iio.imread(video)
    chosen = [frames[0], frames[len(frames) // 2], frames[-1]]
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.hstack(chosen)).save(out)


class _Tile:
    """One video, scaled and framed, frame by frame."""

    def __init__(self, path: Path, status: str) -> None:
        import imageio_ffmpeg

        self._frames: Any = imageio_ffmpeg.read_frames(str(path))
        self._source: tuple[int, int] = next(self._frames)["size"]
        self._border = _BORDERS.get(status, (120, 120, 120))
        self._last = np.zeros((TILE_HEIGHT, TILE_WIDTH, 3), np.uint8)
        self.ended = False

    def next(self) -> NDArray[np.uint8]:
        """The next frame; after the end the last one again."""
        raw = None if self.ended else next(self._frames, None)
        if raw is None:
            self.ended = True
            return self._last
        width, height = self._source
        image = Image.frombuffer("RGB", (width, height), raw)
        tile = np.asarray(image.resize((TILE_WIDTH, TILE_HEIGHT), Image.Resampling.BILINEAR)).copy()
        for edge in (
            np.s_[:_BORDER_PX], np.s_[-_BORDER_PX:], np.s_[:, :_BORDER_PX], np.s_[:, -_BORDER_PX:],
        ):  # fmt: skip
            tile[edge] = self._border
        self._last = tile
        return tile
