"""The patch embedding: a DINOv2 vision transformer with registers.

Legend: N images, C colours, H and W pixels, P patches, D width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfbench.spatial.vggt.blocks import Block
from sfbench.spatial.vggt.config import VggtConfig

_NORM_EPS = 1e-6


class _Projection(nn.Module):
    """Cuts an image into patches and projects each."""

    def __init__(self, patch_px: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch_px, stride=patch_px)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """[N, D, rows, columns]."""
        grid: Tensor = self.proj(images_NCHW)
        return grid


class PatchEmbedding(nn.Module):
    """Normed patch tokens of each image on its own."""

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        width, side = config.width, config.image_px // config.patch_px
        self.registers = config.registers
        self.patch_embed = _Projection(config.patch_px, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 1 + side**2, width))
        self.register_tokens = nn.Parameter(torch.zeros(1, config.registers, width))
        # Of DINOv2's own pretraining; in the published weights, used by nothing.
        self.mask_token = nn.Parameter(torch.zeros(1, width), requires_grad=False)
        self.blocks = nn.ModuleList(
            Block(width, config.patch_heads, qk_norm=False, layer_scale=1.0, norm_eps=_NORM_EPS)
            for _ in range(config.patch_depth)
        )
        self.norm = nn.LayerNorm(width, eps=_NORM_EPS)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Tokens [N, P, D], row by row; the image's sides are multiples of the patch's."""
        grid = self.patch_embed(images_NCHW)
        patches = grid.flatten(2).transpose(1, 2)
        count, (rows, columns) = len(grid), grid.shape[2:]
        patches = patches + self._positions(rows, columns)
        first = (self.cls_token + self.pos_embed[:, :1]).expand(count, -1, -1)
        registers = self.register_tokens.expand(count, -1, -1)
        hidden = torch.cat([first, registers, patches], dim=1)
        for block in self.blocks:
            hidden = block(hidden)
        tokens: Tensor = self.norm(hidden[:, 1 + self.registers :])
        return tokens

    def _positions(self, rows: int, columns: int) -> Tensor:
        learned = self.pos_embed[:, 1:]
        side = round(learned.shape[1] ** 0.5)
        if (rows, columns) == (side, side):
            return learned
        plane = learned.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
        # The antialiased form is the published one.
        resized = functional.interpolate(
            plane, size=(rows, columns), mode="bicubic", antialias=True
        )
        return resized.flatten(2).transpose(1, 2).to(learned.dtype)
