"""The steps from a camera's image to the pixels that the towers read."""

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from .crop import centre_crop
from .jpeg import jpeg_round_trip
from .resize import lanczos3

Image = NDArray[np.uint8]


class ImageStep(StrEnum):
    """A step on a uint8 image; a policy names its steps in order."""

    JPEG_95 = "jpeg_95"
    """What JPEG at quality 95 leaves of it."""
    LANCZOS3 = "lanczos3"
    """Resized to the model's square."""
    CENTRE_CROP_90 = "centre_crop_90"
    """The middle 90 % of the area, enlarged again; for models trained on random crops."""


LIBERO_STEPS = (ImageStep.JPEG_95, ImageStep.LANCZOS3, ImageStep.CENTRE_CROP_90)
"""Source: `prepare_observation` and `prepare_images_for_vla`, moojink/openvla-oft at 213c5ff."""

_STEPS: dict[ImageStep, Callable[[Image, int], Image]] = {
    ImageStep.JPEG_95: lambda image, _px: jpeg_round_trip(image),
    ImageStep.LANCZOS3: lambda image, px: lanczos3(image, (px, px)),
    ImageStep.CENTRE_CROP_90: lambda image, _px: centre_crop(image, 0.9),
}


def apply_steps(image: Image, steps: Sequence[ImageStep], image_px: int) -> Image:
    """Run the steps in order.

    Args:
        image: uint8 [H, W, 3].
        steps: what to do.
        image_px: side of the square that LANCZOS3 makes.

    Returns:
        uint8, [image_px, image_px, 3] if LANCZOS3 is among the steps.
    """
    for step in steps:
        image = _STEPS[step](image, image_px)
    return image


def to_pixels(image: Image, mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """Normalise an image for one tower.

    Args:
        image: uint8 [H, W, 3].
        mean: of each colour, for values in [0, 1].
        std: divisor of each colour.

    Returns:
        float32 [3, H, W].
    """
    scaled = image.astype(np.float32) / np.float32(255)
    normalised = (scaled - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(np.moveaxis(normalised, -1, 0))


def to_image(pixels: NDArray[np.float32], mean: Sequence[float], std: Sequence[float]) -> Image:
    """Inverse of `to_pixels`: float32 [3, H, W] to uint8 [H, W, 3]."""
    values = np.moveaxis(pixels, 0, -1) * np.asarray(std, np.float32) + np.asarray(mean, np.float32)
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
