"""Teachers without weights: an oracle that knows where everything is, and one that knows nothing.

Legend: B batch, V views, R rows, K columns of the patch grid.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor
from torch.nn import functional

from sfbench.contracts import Json
from sfbench.errors import UsageError
from sfbench.spatial.teachers.config import PointmapTeacherConfig, RandomTeacherConfig
from sfbench.spatial.teachers.contract import Features, Scene


class PointmapTeacher:
    """Encodes the true 3-D point in the middle of every patch: an upper bound of what can be known.

    Sines and cosines of each coordinate in waves from `longest_m` down, so that the cosine between
    two features falls smoothly with the distance between their points. Where there is no point
    (the sky), the feature is zero.
    """

    name = "pointmap"
    needs_points = True

    def __init__(self, config: PointmapTeacherConfig) -> None:
        if config.side < 1 or config.waves < 2 or config.waves % 2 or not config.longest_m > 0:
            raise UsageError(
                f"teacher 'pointmap': got side={config.side}, waves={config.waves}, "
                f"longest_m={config.longest_m:g}; allowed side from 1, even waves from 2, "
                "a length above 0"
            )
        self._config = config
        self.width = 6 * config.waves

    def features(self, scene: Scene) -> Features:
        """See Teacher. Raises UsageError where the scene has no points."""
        if scene.points_BVHW3 is None:
            raise UsageError(
                "teacher 'pointmap' needs the true 3-D point of every pixel; these demonstrations "
                "have none. Collect them with depth and camera matrices, or take another teacher"
            )
        side = self._config.side
        points = middles(scene.points_BVHW3, side)
        known = torch.isfinite(points).all(dim=-1, keepdim=True)
        waves = torch.arange(self._config.waves, device=points.device, dtype=points.dtype)
        frequencies = 2 * math.pi / self._config.longest_m * 2**waves
        angles = (torch.where(known, points, 0)[..., None] * frequencies).flatten(-2)
        encoded = torch.cat([angles.sin(), angles.cos()], dim=-1)
        return Features((encoded * known).flatten(2, 3), side, side)

    def identity(self) -> Mapping[str, Json]:
        """See Teacher."""
        return {"teacher": self.name, "weights": "none", "layer": 0, **asdict(self._config)}

    def to(self, device: torch.device) -> None:
        """See Teacher; it holds nothing."""


def middles(points_BVHW3: Tensor, side: int) -> Tensor:
    """The points at the middle pixel of every patch, [B, V, side, side, 3]."""
    height, width = points_BVHW3.shape[2:4]
    if min(height, width) < side:
        raise UsageError(f"a grid of {side} x {side} patches needs more than {height}x{width} px")
    rows = ((torch.arange(side) + 0.5) * height / side).long()
    columns = ((torch.arange(side) + 0.5) * width / side).long()
    return points_BVHW3[:, :, rows][:, :, :, columns]


class RandomTeacher:
    """Two frozen random layers on each patch: features that hold no more than the pixels do."""

    name = "random"
    needs_points = False

    def __init__(self, config: RandomTeacherConfig) -> None:
        if min(config.side, config.patch_px) < 1 or config.width < 4 or config.width % 4:
            raise UsageError(
                f"teacher 'random': got side={config.side}, patch_px={config.patch_px}, "
                f"width={config.width}; allowed sides from 1, and a width that 4 divides"
            )
        self._config = config
        self.width = config.width
        generator = torch.Generator().manual_seed(config.seed)
        pixels = 3 * config.patch_px**2
        self._first = torch.randn(pixels, config.width, generator=generator) / pixels**0.5
        self._second = torch.randn(config.width, config.width, generator=generator)

    def features(self, scene: Scene) -> Features:
        """See Teacher."""
        config = self._config
        images = scene.images_BVCHW.to(self._first).flatten(0, 1)
        size = (config.side * config.patch_px,) * 2
        images = functional.interpolate(images, size=size, mode="bicubic", align_corners=False)
        patches = functional.unfold(2 * images - 1, config.patch_px, stride=config.patch_px)
        hidden = torch.tanh(patches.transpose(1, 2) @ self._first)
        tokens = hidden @ self._second
        tokens = tokens.reshape(*scene.images_BVCHW.shape[:2], *tokens.shape[1:])
        return Features(tokens, config.side, config.side)

    def identity(self) -> Mapping[str, Json]:
        """See Teacher."""
        return {"teacher": self.name, "weights": "random", "layer": 0, **asdict(self._config)}

    def to(self, device: torch.device) -> None:
        """See Teacher."""
        self._first, self._second = self._first.to(device), self._second.to(device)
