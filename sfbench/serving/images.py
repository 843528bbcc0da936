"""What happens to an image between a suite and a peer: turning, resizing, order of axes."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Orientation, upright

Image = NDArray[np.uint8]


class Resize(StrEnum):
    """How an image gets the size that a peer wants."""

    NONE = "none"
    """Not at all: the suite must render at that size."""
    PAD_BILINEAR = "pad_bilinear"
    """Pillow's bilinear filter, proportions kept, the rest black: openpi's clients."""


class Layout(StrEnum):
    """The order of an image's axes."""

    HWC = "hwc"
    CHW = "chw"


def turn(image: Image, have: Orientation, want: Orientation) -> Image:
    """A view of the image [H, W, 3], from one orientation to another; loses nothing."""
    # Each orientation is a flip, and a flip undoes itself.
    return upright(upright(image, have), want)


def resize_with_pad(image: Image, height: int, width: int) -> Image:
    """The image [H, W, 3] at another size, proportions kept, centred on black.

    Agrees bit for bit with `resize_with_pad` of openpi-client 0.1.2.
    """
    from PIL import Image as Pillow

    have_height, have_width = image.shape[:2]
    if (have_height, have_width) == (height, width):
        return image
    shrink = max(have_width / width, have_height / height)
    inner_height, inner_width = int(have_height / shrink), int(have_width / shrink)
    picture = Pillow.fromarray(np.ascontiguousarray(image))
    resized = picture.resize((inner_width, inner_height), Pillow.Resampling.BILINEAR)
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    out[top : top + inner_height, left : left + inner_width] = np.asarray(resized)
    return out
