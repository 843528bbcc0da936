"""Where the pixels of a policy's views lie in the camera's image, and in space.

Legend: B batch, V views, H and W pixels of the camera's image, P side of the policy's image.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfbench.contracts import CameraSpec
from sfbench.errors import UsageError

DEPTH, INTRINSICS, TO_WORLD = "depth_m", "intrinsics", "to_world"
_DARK, _RANGE, _MARK = 64.0, 127.0, 200

Views = Callable[[Mapping[str, NDArray[np.uint8]]], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class ViewMap:
    """How a policy's processing places a camera's image in its view: flips, resizing, padding.

    Places are shares of an image's width (x) and height (y), from its outer edge. A place u in the
    view shows the place `scale * u + offset` of the camera's image, and padding where that is
    outside 0 to 1.
    """

    scale_xy: tuple[float, float]
    offset_xy: tuple[float, float]


def view_maps(views: Views, cameras: Sequence[CameraSpec]) -> list[ViewMap]:
    """Find out what a policy's processing does to geometry, by showing it ramps.

    Args:
        views: see `Trainable.views`.
        cameras: of the demonstrations, in the policy's order.

    Raises:
        UsageError: a view is not a scaled, flipped or padded image.
    """
    ramps = {}
    for camera in cameras:
        ramp = np.full((1, camera.height, camera.width, 3), 255, np.uint8)
        x, y = _shares(camera.width), _shares(camera.height)
        ramp[..., 0] = np.rint(_DARK + _RANGE * x)
        ramp[..., 1] = np.rint(_DARK + _RANGE * y)[:, None]
        ramps[camera.name] = ramp
    shown = views(ramps)[0]
    return [_fit(one, camera.name) for one, camera in zip(shown, cameras, strict=True)]


def source_places(
    maps: Sequence[ViewMap], crops_BV3: Tensor | None, grid: tuple[int, int], px: int
) -> Tensor:
    """Where the cells of a grid over each view lie in the camera's image, [B, V, R, C, 2].

    Args:
        maps: of the views.
        crops_BV3: see `Augmentation.boxes`; None for whole views, with B = 1.
        grid: its rows R and columns C.
        px: side of the view in pixels.

    Returns:
        Shares of the camera image's width and height; outside 0 to 1 in padding.
    """
    if crops_BV3 is None:
        crops_BV3 = torch.tensor([1.0, 0.0, 0.0]).expand(1, len(maps), 3)
    crops = crops_BV3.double().cpu()
    placed = []
    for axis, count in ((0, grid[1]), (1, grid[0])):
        share = torch.from_numpy(_shares(count))
        # To the crop's units (corner pixels' centres at -1 and 1), through the crop, and back.
        unit = (share * px - px / 2) * 2 / (px - 1)
        in_view = crops[..., :1] * unit + crops[..., 1 + axis : 2 + axis]
        in_view = (in_view * (px - 1) / 2 + px / 2) / px
        scale = torch.tensor([one.scale_xy[axis] for one in maps], dtype=torch.float64)
        offset = torch.tensor([one.offset_xy[axis] for one in maps], dtype=torch.float64)
        placed.append(scale[:, None] * in_view + offset[:, None])
    x_BVC, y_BVR = placed
    shape = (*x_BVC.shape[:2], *grid)
    return torch.stack([x_BVC[:, :, None].expand(shape), y_BVR[..., None].expand(shape)], dim=-1)


def inside(places: Tensor) -> Tensor:
    """Which places [..., 2] show the camera's image and no padding, bool [...]."""
    return ((places > 0) & (places < 1)).all(dim=-1)


def depth_at(
    extras: Mapping[str, NDArray[np.generic]], cameras: Sequence[str], places: Tensor
) -> Tensor:
    """Depth along the optical axis at places of the cameras' images.

    Args:
        extras: with `depth_m/<camera>` in metres; see DemoBatch.
        cameras: names, V of them.
        places: see `source_places`; [B or 1, V, R, C, 2].

    Returns:
        float64 [B, V, R, C] in metres; infinite where nothing is seen.
    """
    found = []
    for view, camera in enumerate(cameras):
        depth = torch.from_numpy(np.asarray(extras[f"{DEPTH}/{camera}"], np.float64))
        column, row = _pixels(places[:, view], depth.shape[-1], depth.shape[-2])
        sample = torch.arange(len(depth))[:, None, None]
        seen = depth[sample, row, column]
        found.append(torch.where(inside(places[:, view]), seen, torch.inf))
    return torch.stack(found, dim=1)


def points_at(
    extras: Mapping[str, NDArray[np.generic]], cameras: Sequence[str], places: Tensor
) -> Tensor:
    """The points in space that are seen at places of the cameras' images.

    Args:
        extras: depth, intrinsics in pixels (a pixel's centre lies at its column and row plus 0.5)
            and camera-to-world matrices of each camera; see DemoBatch.
        cameras: names, V of them.
        places: see `source_places`; [B or 1, V, R, C, 2].

    Returns:
        float32 [B, V, R, C, 3] in metres, in the world's frame; not finite where nothing is seen.
    """
    depth_BVRC = depth_at(extras, cameras, places)
    found = []
    for view, camera in enumerate(cameras):
        inner = torch.from_numpy(np.asarray(extras[f"{INTRINSICS}/{camera}"], np.float64))
        outer = torch.from_numpy(np.asarray(extras[f"{TO_WORLD}/{camera}"], np.float64))
        height, width = extras[f"{DEPTH}/{camera}"].shape[1:]
        column, row = _pixels(places[:, view], width, height)
        z = depth_BVRC[:, view]
        focal_x, focal_y = inner[:, 0, 0, None, None], inner[:, 1, 1, None, None]
        middle_x, middle_y = inner[:, 0, 2, None, None], inner[:, 1, 2, None, None]
        in_camera = torch.stack(
            [
                (column + 0.5 - middle_x) / focal_x * z,
                (row + 0.5 - middle_y) / focal_y * z,
                z,
                torch.ones_like(z),
            ],
            dim=-1,
        )
        world = torch.einsum("bij,brcj->brci", outer, in_camera)[..., :3]
        found.append(torch.where(torch.isfinite(z)[..., None], world, torch.inf))
    return torch.stack(found, dim=1).float()


def _pixels(places_BRC2: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Column and row of the pixels at some places."""
    column = (places_BRC2[..., 0] * width).long().clamp(0, width - 1)
    row = (places_BRC2[..., 1] * height).long().clamp(0, height - 1)
    return column, row


def _shares(count: int) -> NDArray[np.float64]:
    return (np.arange(count) + 0.5) / count


def _fit(view: NDArray[np.uint8], camera: str) -> ViewMap:
    shown = view[..., 2] > _MARK
    lines = []
    for axis in (0, 1):
        ramp = (view[..., axis].astype(np.float64) - _DARK) / _RANGE
        along: NDArray[np.bool_] = np.asarray(shown.any(axis=axis))
        count = np.maximum(shown.sum(axis=axis), 1)
        means = (np.where(shown, ramp, 0).sum(axis=axis) / count)[along]
        if len(means) < 2:
            raise UsageError(f"the policy's view of camera '{camera}' shows nothing of its image")
        slope, offset = np.polyfit(_shares(len(along))[along], means, 1)
        fitted = slope * _shares(len(along))[along] + offset
        if np.abs(fitted - means).max() > 0.02:
            raise UsageError(
                f"the policy's view of camera '{camera}' is bent: it is no scaled, flipped or "
                "padded image, so true points cannot be assigned to its patches"
            )
        lines.append((float(slope), float(offset)))
    (scale_x, offset_x), (scale_y, offset_y) = lines
    return ViewMap((scale_x, scale_y), (offset_x, offset_y))
