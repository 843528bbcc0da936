"""Lanczos-3 resampling with anti-aliasing, as TensorFlow's `tf.image.resize` does it.

Source: Duchon 1979 (the kernel); TensorFlow's `scale_and_translate` (half-pixel centres, a kernel
widened by the reduction factor, weights normalised after clipping at the border, float32).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RADIUS = 3


def lanczos3(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an image.

    Args:
        image: uint8 [H, W, C].
        size: new height and width in pixels; the aspect ratio is not kept.

    Returns:
        uint8 [size[0], size[1], C], rounded and clipped to 0..255.
    """
    rows = _weights(image.shape[0], size[0])
    columns = _weights(image.shape[1], size[1])
    tall = np.tensordot(rows, image.astype(np.float32), axes=(1, 0))
    wide = np.einsum("xw,hwc->hxc", columns, tall, optimize=True)
    resized: NDArray[np.uint8] = np.clip(np.rint(wide), 0, 255).astype(np.uint8)
    return resized


@lru_cache(maxsize=32)
def _weights(size_in: int, size_out: int) -> NDArray[np.float32]:
    """Resampling matrix [size_out, size_in] along one axis; each row sums to 1."""
    step = np.float32(size_in) / np.float32(size_out)
    widening = max(step, np.float32(1))
    centres = (np.arange(size_out, dtype=np.float32) + np.float32(0.5)) * step
    sources = np.arange(size_in, dtype=np.float32) + np.float32(0.5)
    distances = (sources - centres[:, None]) / widening
    weights = np.sinc(distances) * np.sinc(distances / RADIUS)
    weights[np.abs(distances) > RADIUS] = 0
    matrix: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    matrix.setflags(write=False)
    return matrix
