"""The trunk: attention within each frame and over all frames in turn.

Legend: B batch, S frames (views), C colours, H and W pixels, T tokens of a frame, D width.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from sfbench.spatial.vggt.blocks import Block, Rotary2d
from sfbench.spatial.vggt.config import VggtConfig
from sfbench.spatial.vggt.patches import PatchEmbedding

# ImageNet statistics.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LAYER_SCALE, _NORM_EPS, _TOKEN_STD = 0.01, 1e-5, 1e-6


class Aggregator(nn.Module):
    """Images of one scene in, a token grid per frame out of each of `depth` layers.

    A frame's tokens are a camera token, registers, then patches. The first frame has camera and
    register tokens of its own, all later ones share theirs.
    """

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patch_embed = PatchEmbedding(config)
        self.frame_blocks = _blocks(config)
        self.global_blocks = _blocks(config)
        self.camera_token = nn.Parameter(_TOKEN_STD * torch.randn(1, 2, 1, width))
        self.register_token = nn.Parameter(_TOKEN_STD * torch.randn(1, 2, config.registers, width))

    def forward(
        self, images_BSCHW: Tensor, keep: Collection[int] | None = None
    ) -> dict[int, Tensor]:
        """Run all layers up to the last one wanted.

        Args:
            images_BSCHW: RGB in [0, 1]; the sides are multiples of the patch's.
            keep: which layers to return, counted from 0; None is all.

        Returns:
            By layer, [B, S, T, 2 D]: the frame block's output beside the global block's.
        """
        config = self.config
        wanted = set(range(config.depth) if keep is None else keep)
        batch, frames = images_BSCHW.shape[:2]
        hidden, rotary, rotary_all = self._start(images_BSCHW)
        outputs: dict[int, Tensor] = {}
        of_frames, (_, tokens, width) = hidden.shape, hidden.shape
        for layer in range(max(wanted) + 1):
            within: Tensor = self.frame_blocks[layer](hidden, rotary)
            over = self.global_blocks[layer](within.reshape(batch, -1, width), rotary_all)
            hidden = over.reshape(of_frames)
            if layer in wanted:
                both = torch.cat([within, hidden], dim=-1)
                outputs[layer] = both.reshape(batch, frames, tokens, -1)
        return outputs

    def _start(self, images_BSCHW: Tensor) -> tuple[Tensor, Rotary2d, Rotary2d]:
        """Tokens [B * S, T, D] of all frames, and the positions of a frame's and of all tokens."""
        config = self.config
        batch, frames, _, height, width = images_BSCHW.shape
        mean, std = (images_BSCHW.new_tensor(value).view(3, 1, 1) for value in (_MEAN, _STD))
        patches = self.patch_embed(((images_BSCHW - mean) / std).flatten(0, 1))
        special = torch.cat([self.camera_token, self.register_token], dim=2)
        of_frame = [0] + [1] * (frames - 1)
        special = special[:, of_frame].expand(batch, -1, -1, -1).flatten(0, 1)
        hidden = torch.cat([special.to(patches.dtype), patches], dim=1)
        rows, columns = height // config.patch_px, width // config.patch_px
        # Patches count from 1; all other tokens stand at 0, so that they do not turn.
        place = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)) + 1
        place = torch.cat([torch.zeros(config.patch_start, 2, dtype=place.dtype), place])
        head = config.width // config.heads
        return (
            hidden,
            Rotary2d(place, head, config.rope_base, hidden),
            Rotary2d(place.repeat(frames, 1), head, config.rope_base, hidden),
        )


def _blocks(config: VggtConfig) -> nn.ModuleList:
    return nn.ModuleList(
        Block(
            config.width,
            config.heads,
            qk_norm=True,
            layer_scale=_LAYER_SCALE,
            norm_eps=_NORM_EPS,
        )
        for _ in range(config.depth)
    )
