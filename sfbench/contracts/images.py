"""Turning images upright."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sfbench.contracts.conventions import Orientation

Kind = TypeVar("Kind", bound=np.generic)


def upright(image: NDArray[Kind], orientation: Orientation) -> NDArray[Kind]:
    """A view of the image [H, W, ...] as someone standing at the camera would see it."""
    if orientation is Orientation.BOTTOM_UP:
        return image[::-1]
    if orientation is Orientation.MIRRORED:
        return image[:, ::-1]
    return image
