"""Patch grids: the position embedding added to them, and resampling one onto another.

Legend: N grids, R rows, C columns, W width of a token.
"""

import torch
from torch import Tensor
from torch.nn import functional

from sfbench.errors import UsageError
from sfbench.spatial.settings import Resampling

_BASE = 100.0
"""Ratio of the longest to the shortest wave length of the embedding."""


def position_embedding(rows: int, columns: int, width: int) -> Tensor:
    """Sine and cosine of each patch's place in the image, float32 [rows, columns, width].

    Places lie in a rectangle of the image's proportions whose half diagonal is 1. The first half of
    the width encodes the column, the second half the row; each half holds sines, then cosines, of
    `width / 4` frequencies from 1 down to about 1 / 100.

    Source: `create_uv_grid` and `position_grid_to_embed`, facebookresearch/vggt.

    Raises:
        UsageError: the width is no multiple of 4.
    """
    if width % 4:
        raise UsageError(
            f"a position embedding needs a width that 4 divides; the features are {width} wide. "
            "Switch it off with align.position_scale=0"
        )
    span = torch.tensor([columns, rows], dtype=torch.float64)
    span = span / span.norm()
    x_C = _centres(columns, float(span[0]))
    y_R = _centres(rows, float(span[1]))
    embedded = torch.empty(rows, columns, width)
    embedded[..., : width // 2] = _waves(x_C, width // 2)[None]
    embedded[..., width // 2 :] = _waves(y_R, width // 2)[:, None]
    return embedded


def resample(grids_NRCW: Tensor, rows: int, columns: int, how: Resampling) -> Tensor:
    """Grids of another size, [N, rows, columns, W]."""
    if grids_NRCW.shape[1:3] == (rows, columns):
        return grids_NRCW
    planes = grids_NRCW.permute(0, 3, 1, 2)
    corners = None if how is Resampling.AREA else True
    resampled = functional.interpolate(
        planes, size=(rows, columns), mode=how.value, align_corners=corners
    )
    return resampled.permute(0, 2, 3, 1)


def _centres(count: int, span: float) -> Tensor:
    edge = span * (count - 1) / count
    return torch.linspace(-edge, edge, count, dtype=torch.float64)


def _waves(places: Tensor, width: int) -> Tensor:
    count = width // 2
    frequencies = _BASE ** (-torch.arange(count, dtype=torch.float64) / count)
    angles = places[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
