"""The centre crop that stands in for the random crops of training.

Source: TensorFlow's `tf.image.crop_and_resize`: bilinear, with the corner *pixels* of crop and
output aligned, in float32 on values scaled to [0, 1].
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def centre_crop(image: NDArray[np.uint8], area_share: float) -> NDArray[np.uint8]:
    """Cut out the middle of an image and enlarge it to the size the image had.

    Args:
        image: uint8 [H, W, 3].
        area_share: area of the crop as a share of the image's, above 0, at most 1.

    Returns:
        uint8 [H, W, 3].
    """
    side = np.sqrt(np.float32(area_share))
    start = (np.float32(1) - side) / np.float32(2)
    values = image.astype(np.float32) / np.float32(255)
    for axis in (1, 0):
        values = _resample(values, start, start + side, axis)
    # TensorFlow's float-to-integer conversion: scale by 255.5, then truncate.
    cropped: NDArray[np.uint8] = np.clip(values * np.float32(255.5), 0, 255).astype(np.uint8)
    return cropped


def _resample(values: Floats, start: np.float32, end: np.float32, axis: int) -> Floats:
    size = values.shape[axis]
    last = np.float32(size - 1)
    step = (end - start) * last / last
    at = start * last + np.arange(size, dtype=np.float32) * step
    lower = np.floor(at).astype(np.int64)
    upper = np.minimum(np.ceil(at).astype(np.int64), size - 1)
    share = (at - lower.astype(np.float32)).reshape([-1 if i == axis else 1 for i in range(3)])
    below, above = np.take(values, lower, axis), np.take(values, upper, axis)
    mixed: Floats = below + (above - below) * share
    return mixed
