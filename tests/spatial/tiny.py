"""The tiny networks that reference and project are compared on; numpy only, for both sides."""

import zlib
from typing import Any

import numpy as np

PATCH_PX = 14
CASES: dict[str, dict[str, Any]] = {
    "oblong": {
        "image_px": 70,
        "width": 32,
        "depth": 4,
        "heads": 4,
        "patch_depth": 2,
        "patch_heads": 2,
        "registers": 4,
        "camera_depth": 2,
        "camera_heads": 4,
        "layers": (0, 1, 2, 3),
        "channels": (8, 12, 16, 20),
        "features": 16,
        "images": (2, 3, 3, 42, 56),
    },
    "square": {
        "image_px": 42,
        "width": 48,
        "depth": 5,
        "heads": 3,
        "patch_depth": 3,
        "patch_heads": 4,
        "registers": 2,
        "camera_depth": 1,
        "camera_heads": 2,
        "layers": (0, 1, 3, 4),
        "channels": (8, 8, 12, 16),
        "features": 8,
        "images": (1, 1, 3, 42, 42),
    },
}
"""Several oblong views, which the learned positions are resized for, and one view at their size."""

POOLING = {"hidden": (2, 2, 24, 16), "patches": (4, 6), "grid": (8, 12)}
"""Samples, views, tokens, width; the teacher's grid; and the policy's."""
LOSS = {"policy_width": 24, "teacher_width": 16, "tokens": (3, 10)}


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of a parameter, from its published name alone (a frozen numpy stream).

    Everything is drawn, norms and scales included, so that no two parts of the network could be
    swapped or left out unnoticed.
    """
    draws = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith("gamma") or ("norm" in key and key.endswith("weight")):
        return (1 + 0.2 * draws).astype(np.float32)
    if len(shape) < 2 or "output_conv2.2" in key:
        return (0.2 * draws).astype(np.float32)
    if "embed" in key or key.endswith(("token", "tokens")):
        return (0.5 * draws).astype(np.float32)
    return (draws / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def images(case: str) -> np.ndarray:
    """float32 [B, S, 3, H, W] in [0, 1]."""
    return np.random.RandomState(7).random_sample(CASES[case]["images"]).astype(np.float32)


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 standard normal, from the name alone."""
    return (
        np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    )
