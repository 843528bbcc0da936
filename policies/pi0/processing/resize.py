"""Fitting an image into a square without distortion, black bars around it: two filters.

Sources: `resize_with_pad` of openpi-client 0.1.2 (PIL, on the client), `resize_with_pad_torch` of
openpi 15a9616 and LeRobot 7427f31 (inside the model). They differ by several grey levels where an
image is made smaller: PIL widens its filter by the reduction, torch does not.
"""

from collections.abc import Callable
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

Pixels = NDArray[np.float32]


class Resize(StrEnum):
    """How an image becomes the model's square."""

    PIL_BILINEAR = "pil_bilinear"
    """As openpi's client sends it: anti-aliased, rounded to whole grey levels."""
    TORCH_BILINEAR = "torch_bilinear"
    """As LeRobot's π0 does it: not anti-aliased, not rounded."""
    NONE = "none"
    """The image has the model's size; another size is an error."""


def to_pixels(image: NDArray[np.uint8], resize: Resize, side: int) -> Pixels:
    """What the vision tower reads.

    Args:
        image: uint8 [H, W, 3].
        resize: how it is fitted in.
        side: of the square, px.

    Returns:
        float32 [3, side, side] in [-1, 1] ([3, H, W] with NONE).
    """
    if image.shape[:2] == (side, side) or resize is Resize.NONE:
        unit = image.astype(np.float32) / np.float32(255)
    else:
        unit = _FILTERS[resize](image, side)
    return np.ascontiguousarray(np.moveaxis(unit * np.float32(2) - np.float32(1), -1, 0))


def to_image(pixels: Pixels) -> NDArray[np.uint8]:
    """Inverse of the last step: float32 [3, H, W] to uint8 [H, W, 3]."""
    values = (np.moveaxis(pixels, 0, -1) + 1) / 2
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)


def fitted_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width inside a square, cut to whole pixels."""
    ratio = max(width / side, height / side)
    return int(height / ratio), int(width / ratio)


def _pil(image: NDArray[np.uint8], side: int) -> Pixels:
    height, width = fitted_size(image.shape[0], image.shape[1], side)
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    square = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = np.asarray(small)
    return square.astype(np.float32) / np.float32(255)


def _torch(image: NDArray[np.uint8], side: int) -> Pixels:
    height, width = fitted_size(image.shape[0], image.shape[1], side)
    unit = torch.from_numpy(np.moveaxis(image, -1, 0).astype(np.float32) / np.float32(255))
    small = functional.interpolate(
        unit[None], size=(height, width), mode="bilinear", align_corners=False
    )[0]
    square = np.zeros((side, side, 3), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = np.moveaxis(small.numpy(), 0, -1)
    return square


_FILTERS: dict[Resize, Callable[[NDArray[np.uint8], int], Pixels]] = {
    Resize.PIL_BILINEAR: _pil,
    Resize.TORCH_BILINEAR: _torch,
}
