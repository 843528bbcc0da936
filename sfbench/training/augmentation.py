"""Random crops and colours, on tensors, each sample from its own stream.

Source: the `image_augment_kwargs` of openvla/openvla and moojink/openvla-oft (crop of 90 % of the
area, brightness 0.2, contrast and saturation 0.8 to 1.2, hue 0.05, in this order); the operations
are TensorFlow's `crop_and_resize` (bilinear, corner pixels aligned), `adjust_brightness`,
`adjust_contrast`, `adjust_saturation` and `adjust_hue`.

Legend: N images, C colours, H and W pixels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sfbench.training.settings import AugmentConfig

_DRAWS = 6
"""Uniform numbers an image takes: two for the crop, four for the colours."""


class Augmentation:
    """Draws and applies random changes."""

    def __init__(self, config: AugmentConfig) -> None:
        self._config = config
        colours = (config.brightness, config.contrast, config.saturation, config.hue)
        self._recolours = any(colours)
        self.crops = config.crop_area < 1

    def __call__(self, images_BVCHW: Tensor, seeds: Sequence[int]) -> Tensor:
        """Change every view of every sample on its own.

        Args:
            images_BVCHW: float32 in [0, 1].
            seeds: one a sample.

        Returns:
            Same shape, in [0, 1]; the input itself where nothing is to be changed.
        """
        if not self.crops and not self._recolours:
            return images_BVCHW
        unit_ND = _draw(seeds, images_BVCHW.shape[1]).to(images_BVCHW.device)
        images = images_BVCHW.flatten(0, 1)
        if self.crops:
            images = _crop(images, self._config.crop_area, unit_ND[:, :2])
        if self._recolours:
            images = self._recolour(images, unit_ND[:, 2:])
        return images.reshape(images_BVCHW.shape)

    def boxes(self, seeds: Sequence[int], views: int) -> Tensor:
        """Which part of each view the same seeds keep.

        Returns:
            float32 [B, V, 3]: the side as a share of the image's, and the centre, x to the right
            and y down, in units in which the centres of the corner pixels lie at -1 and 1.
        """
        centres = _centres(_draw(seeds, views)[:, :2], self._config.crop_area)
        sides = torch.full_like(centres[:, :1], math.sqrt(self._config.crop_area))
        return torch.cat([sides, centres], dim=1).reshape(len(seeds), views, 3)

    def _recolour(self, images: Tensor, unit_N4: Tensor) -> Tensor:
        config, signed = self._config, (2 * unit_N4 - 1)[:, :, None, None, None]
        if config.brightness:
            images = images + config.brightness * signed[:, 0]
        if config.contrast:
            mean = images.mean(dim=(2, 3), keepdim=True)
            images = mean + (images - mean) * (1 + config.contrast * signed[:, 1])
        images = images.clamp(0, 1)
        if config.saturation or config.hue:
            hue, saturation, value = _to_hsv(images)
            saturation = (saturation * (1 + config.saturation * signed[:, 2, 0])).clamp(0, 1)
            hue = (hue + config.hue * signed[:, 3, 0]) % 1.0
            images = _to_rgb(hue, saturation, value)
        return images


def _draw(seeds: Sequence[int], views: int) -> Tensor:
    """Uniform numbers of every view, [B * V, _DRAWS]."""
    draws = [
        torch.rand((views, _DRAWS), generator=torch.Generator().manual_seed(seed)) for seed in seeds
    ]
    return torch.cat(draws)


def _centres(unit_N2: Tensor, area: float) -> Tensor:
    """Middles of the crops, in the units of grid_sample: the image reaches from -1 to 1."""
    return (2 * unit_N2 - 1) * (1 - math.sqrt(area))


def _crop(images: Tensor, area: float, unit_N2: Tensor) -> Tensor:
    """Cut out squares of the image's proportions, at random places, and enlarge them again."""
    side = math.sqrt(area)
    turn = torch.zeros(len(images), 2, 3, device=images.device)
    turn[:, 0, 0] = turn[:, 1, 1] = side
    turn[:, :, 2] = _centres(unit_N2, area)
    grid = functional.affine_grid(turn, list(images.shape), align_corners=True)
    return functional.grid_sample(images, grid, mode="bilinear", align_corners=True)


def _to_hsv(images_NCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in turns, saturation and value, each [N, H, W]."""
    value, strongest = images_NCHW.max(dim=1)
    spread = value - images_NCHW.amin(dim=1)
    red, green, blue = images_NCHW.unbind(dim=1)
    safe = torch.where(spread > 0, spread, torch.ones_like(spread))
    sixths = torch.stack(
        [(green - blue) / safe, 2 + (blue - red) / safe, 4 + (red - green) / safe], dim=1
    )
    hue = sixths.gather(1, strongest[:, None])[:, 0] / 6 % 1.0
    bright = torch.where(value > 0, value, torch.ones_like(value))
    return hue, spread / bright, value


def _to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Inverse of `_to_hsv`: [N, 3, H, W]."""
    channels = []
    for offset in (5.0, 3.0, 1.0):
        place = (offset + hue * 6) % 6
        share = torch.minimum(place, 4 - place).clamp(0, 1)
        channels.append(value - value * saturation * share)
    return torch.stack(channels, dim=1)
