"""Image, true depth and predictions of a scene, each a file, with one colour scale."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

_SIDE_PX = 224
_NOTHING = (40, 40, 40)


def draw_scene(
    folder: Path, image_CHW: Tensor, true_HW: Tensor, predicted: Mapping[str, Tensor]
) -> None:
    """Write `image.png`, `true.png` and `<name>.png` of each prediction.

    Near is bright. The scale is that of the true depths; where nothing is seen it is grey.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels = (image_CHW.permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
    _write(folder / "image.png", pixels)
    known = true_HW[torch.isfinite(true_HW)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    for name, depth in {"true": true_HW, **predicted}.items():
        near = 1 - (depth.numpy() - low) / max(high - low, 1e-6)
        finite = np.isfinite(near)
        coloured = colormaps["viridis"](np.where(finite, near, 0).clip(0, 1))[..., :3]
        shown = np.where(finite[..., None], coloured * 255, _NOTHING).astype(np.uint8)
        _write(folder / f"{name}.png", shown)


def _write(file: Path, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    Image.fromarray(pixels).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.NEAREST).save(file)
