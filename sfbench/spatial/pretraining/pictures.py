"""Pictures of held-out scenes, and a figure of the errors."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from sfbench.report.intervals import Estimate
from sfbench.spatial.pretraining.scenes import Scenes

_SIDE_PX, _CAPTION_PX, _COLOURS = 112, 16, 256
_VIEWS = 2
"""Of each scene that are shown; models that see several at a time saw all."""
_NOTHING = (40, 40, 40)

Picture = NDArray[np.uint8]


def draw_scenes(
    scenes: Scenes, chosen: Sequence[int], guesses: Mapping[str, Sequence[Tensor]], file: Path
) -> None:
    """Views of scenes in rows: image, true depth, and each model's, side by side.

    Args:
        scenes: held out.
        chosen: which.
        guesses: by model, depth [S, H, W] in metres of each chosen scene.
        file: the PNG. Near is bright; a row's colours span its true depths.
    """
    rows = []
    for place, index in enumerate(chosen):
        for view in range(_VIEWS):
            true = np.asarray(scenes.depth_m[index, view])
            known = true[np.isfinite(true)]
            limits = float(known.min()), float(known.max())
            depths = [true, *(found[place][view].numpy() for found in guesses.values())]
            cells = [np.asarray(scenes.images[index, view])]
            cells += [_coloured(depth, limits) for depth in depths]
            rows.append(np.concatenate([_enlarged(cell) for cell in cells], axis=1))
    whole = np.concatenate(rows, axis=0)
    captioned = Image.new("RGB", (whole.shape[1], whole.shape[0] + _CAPTION_PX), "white")
    captioned.paste(Image.fromarray(whole), (0, _CAPTION_PX))
    pen = ImageDraw.Draw(captioned)
    for column, name in enumerate(("image", "true depth", *guesses)):
        pen.text((column * _SIDE_PX + 4, 2), name, fill="black")
    captioned.quantize(_COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


def draw_bars(bars: Mapping[str, Mapping[str, Estimate]], file: Path) -> None:
    """AbsRel of every model with its interval, a panel a test set."""
    figure = Figure(figsize=(4 * len(bars), 2.6), layout="constrained")
    for panel, (test, models) in enumerate(bars.items(), start=1):
        axes = figure.add_subplot(1, len(bars), panel)
        for place, estimate in enumerate(models.values()):
            axes.plot([estimate.low, estimate.high], [place, place], color="0.4")
            axes.plot([estimate.value], [place], "o", color="black", markersize=4)
        axes.set_yticks(range(len(models)), list(models) if panel == 1 else [""] * len(models))
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_title(test, fontsize=10)
        axes.set_xlabel("AbsRel, metric scale (95 % over scenes)", fontsize=8)
    figure.savefig(file, dpi=120)


def _coloured(depth_m: NDArray[np.float32], limits: tuple[float, float]) -> Picture:
    low, high = limits
    near = 1 - (depth_m - low) / max(high - low, 1e-6)
    seen = np.isfinite(near)
    colours = colormaps["viridis"](np.where(seen, near, 0).clip(0, 1))[..., :3] * 255
    return np.where(seen[..., None], colours, _NOTHING).astype(np.uint8)


def _enlarged(picture: Picture) -> Picture:
    size = (_SIDE_PX, _SIDE_PX)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.NEAREST))
