"""Where a teacher's weights are, what identifies them, and on what images it looks."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from sfbench.errors import MissingError, UnknownNameError, UsageError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def dtype_named(name: str) -> torch.dtype:
    """The dtype of that name. Raises UnknownNameError."""
    if name not in _DTYPES:
        raise UnknownNameError("teacher.dtype", name, _DTYPES)
    return _DTYPES[name]


def locate(source: str, files: Sequence[str], teacher: str) -> Path:
    """The local folder of a checkpoint: a folder, or a hub id, which is fetched.

    Raises:
        MissingError: nothing was named, or it is not to be had.
    """
    if not source:
        raise MissingError(
            f"teacher '{teacher}' needs weights: teacher.checkpoint=FOLDER or a hub id"
        )
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, allow_patterns=list(files)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise MissingError(
            f"teacher '{teacher}': '{source}' is no folder here, and not to be had from the hub "
            f"({type(error).__name__}). Give teacher.checkpoint=FOLDER"
        ) from error


def fingerprint(files: Iterable[Path]) -> str:
    """16 hex digits of the SHA-256 over the contents of files, in order of name."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda path: path.name):
        stat = file.stat()
        total.update(_digest(file, stat.st_size, stat.st_mtime_ns))
    return total.hexdigest()[:16]


@lru_cache(maxsize=64)
def _digest(file: Path, _size: int, _changed_ns: int) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def fitted(images_BVCHW: Tensor, longest_px: int, patch_px: int) -> Tensor:
    """Images enlarged or shrunk (bicubic, as the method does it) to whole patches.

    Args:
        images_BVCHW: of any size, the same for all views.
        longest_px: length of the longer side afterwards, a multiple of `patch_px`.
        patch_px: side of a patch; the shorter side is rounded to a multiple of it.
    """
    height, width = images_BVCHW.shape[-2:]
    scale = longest_px / max(height, width)
    size = tuple(max(1, round(side * scale / patch_px)) * patch_px for side in (height, width))
    if size == (height, width):
        return images_BVCHW
    resized = functional.interpolate(
        images_BVCHW.flatten(0, 1).float(), size=size, mode="bicubic", align_corners=False
    )
    return resized.reshape(*images_BVCHW.shape[:3], *size)


def check_layer(layer: int, count: int, teacher: str) -> int:
    """A layer counted from 0, from one that may count from the end. Raises UsageError."""
    if not -count <= layer < count:
        raise UsageError(
            f"teacher.layer={layer}: teacher '{teacher}' has layers 0 to {count - 1} "
            f"(-1 is the last)"
        )
    return layer % count
