"""Turning an image from one orientation to another; lossless, and its own inverse."""

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Orientation

# Against UPRIGHT: are rows reversed, are columns reversed?
_FLIPS = {
    Orientation.UPRIGHT: (False, False),
    Orientation.BOTTOM_UP: (True, False),
    Orientation.MIRRORED: (False, True),
}


def turn(image: NDArray[np.uint8], have: Orientation, want: Orientation) -> NDArray[np.uint8]:
    """Reorient an image.

    A bottom-up image (as robosuite renders it) becomes mirrored by a turn of 180 degrees, which is
    what openpi, LeRobot, OpenVLA and OpenVLA-OFT do in LIBERO before all else.

    Args:
        image: uint8 [H, W, 3].
        have: its orientation.
        want: the orientation of the result.

    Returns:
        A view of the image.
    """
    rows, columns = (
        -1 if mine != theirs else 1 for mine, theirs in zip(_FLIPS[have], _FLIPS[want], strict=True)
    )
    return image[::rows, ::columns]
