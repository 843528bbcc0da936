"""Features of a crop, from cached features of the whole image.

An approximation: the teacher did not see the crop, nor the enlarged pixels, nor changed colours.

Legend: B batch, V views, R and C rows and columns of the stored grid, W width of a feature.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Geometry:
    """The grids and images that a crop is related to.

    Attributes:
        rows: of the policy's grid.
        columns: of the policy's grid.
        teacher_grid: rows and columns of the teacher's own grid.
        image_px: height and width of the policy's image.
    """

    rows: int
    columns: int
    teacher_grid: tuple[int, int]
    image_px: tuple[int, int]


def resample_crops(grids_BVRCW: Tensor, crops_BV3: Tensor, geometry: Geometry) -> Tensor:
    """The policy's grids [B, V, rows, columns, W] of crops.

    Args:
        grids_BVRCW: cached features of whole images; the corners of the stored grid lie on those
            of the teacher's.
        crops_BV3: side of the crop as a share of the image's, and its centre, x to the right and y
            down, in units in which the centres of the corner pixels lie at -1 and 1 (as for
            `grid_sample` with align_corners).
        geometry: what else they depend on.
    """
    places = []
    for axis, (count, teacher, px) in enumerate(
        zip(
            (geometry.columns, geometry.rows),
            geometry.teacher_grid[::-1],
            geometry.image_px[::-1],
            strict=True,
        )
    ):
        # Where the policy's tokens would read a teacher's grid of the crop, corners on corners.
        token = torch.linspace(0, teacher - 1, count, dtype=torch.float64, device=crops_BV3.device)
        in_crop = _pixel((token + 0.5) / teacher, px)
        crops = crops_BV3.flatten(0, 1).double()
        in_image = crops[:, :1] * in_crop + crops[:, 1 + axis : 2 + axis]
        share = (in_image * (px - 1) / 2 + px / 2) / px
        # From -1 to 1 between the outermost tokens, of the teacher and so of the stored grid.
        places.append((share * teacher - 0.5) * 2 / max(teacher - 1, 1) - 1)
    x_NC, y_NR = places
    shape = (len(x_NC), geometry.rows, geometry.columns)
    where = torch.stack([x_NC[:, None].expand(shape), y_NR[..., None].expand(shape)], dim=-1)
    planes = grids_BVRCW.flatten(0, 1).permute(0, 3, 1, 2)
    sampled = functional.grid_sample(
        planes, where.to(planes), mode="bilinear", padding_mode="border", align_corners=True
    )
    batch, views = grids_BVRCW.shape[:2]
    return sampled.permute(0, 2, 3, 1).reshape(batch, views, *shape[1:], -1)


def _pixel(share: Tensor, px: int) -> Tensor:
    """A place as a share of an image's length, in the units of `crops_BV3`."""
    return (share * px - px / 2) * 2 / (px - 1)
