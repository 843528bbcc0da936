"""Turning images upright."""

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts.conventions import Orientation


def upright(image: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    """A view of the image [H, W, ...] as someone standing at the camera would see it."""
    if orientation is Orientation.BOTTOM_UP:
        return image[::-1]
    if orientation is Orientation.MIRRORED:
        return image[:, ::-1]
    return image
