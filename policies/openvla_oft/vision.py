"""The two vision towers and the projector into the language model.

Blocks are those of transformers; the embedding in front of them is the few lines that timm and
transformers do differently (timm folds the class token's position into the class token).

Legend: B batch, V views, T towers, C colours, H and W pixels, P patches of a view, D width.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers import Dinov2WithRegistersConfig, SiglipVisionConfig
from transformers.models.dinov2_with_registers.modeling_dinov2_with_registers import (
    Dinov2WithRegistersLayer,
)
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer

from .architecture import TowerConfig, TowerKind

_LAYER_NORM_EPS = 1e-6

# Their typed signatures leave out keywords of their base class.
_dino_config: Callable[..., Dinov2WithRegistersConfig] = Dinov2WithRegistersConfig
_siglip_config: Callable[..., SiglipVisionConfig] = SiglipVisionConfig


class PatchEmbedding(nn.Module):
    """Cuts an image into patches, adds learned positions, and puts extra tokens in front."""

    def __init__(self, config: TowerConfig, image_px: int) -> None:
        super().__init__()
        patches = (image_px // config.patch_px) ** 2
        self.projection = nn.Conv2d(3, config.hidden, config.patch_px, stride=config.patch_px)
        self.positions = nn.Parameter(torch.zeros(1, patches, config.hidden))
        self.has_prefix = config.kind is TowerKind.DINOV2
        if self.has_prefix:
            self.class_token = nn.Parameter(torch.zeros(1, 1, config.hidden))
            self.registers = nn.Parameter(torch.zeros(1, config.registers, config.hidden))

    @property
    def prefix_tokens(self) -> int:
        """How many tokens stand before the patches."""
        return 1 + self.registers.shape[1] if self.has_prefix else 0

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Tokens [B, prefix + P, D]."""
        grid: Tensor = self.projection(images_BCHW)
        patches = grid.flatten(2).transpose(1, 2) + self.positions
        if not self.has_prefix:
            return patches
        batch = patches.shape[0]
        prefix = torch.cat([self.class_token, self.registers], dim=1).expand(batch, -1, -1)
        return torch.cat([prefix, patches], dim=1)


class Tower(nn.Module):
    """A vision transformer up to its second-to-last block; the final norm is not applied.

    This is what timm's `get_intermediate_layers(n={depth - 2})` returns: patches only, unnormed.
    """

    def __init__(self, config: TowerConfig, image_px: int) -> None:
        super().__init__()
        self.embedding = PatchEmbedding(config, image_px)
        self.layers = nn.ModuleList(_layers(config, image_px))
        # SigLIP blocks ask for a mask, DINOv2 blocks take none in some releases of transformers.
        self._mask = () if config.kind is TowerKind.DINOV2 else (None,)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Patch features [B, P, D]."""
        hidden: Tensor = self.embedding(images_BCHW)
        for layer in self.layers:
            hidden = layer(hidden, *self._mask)
        return hidden[:, self.embedding.prefix_tokens :]


def _layers(config: TowerConfig, image_px: int) -> list[nn.Module]:
    depth = config.layers - 1
    if config.kind is TowerKind.DINOV2:
        ratio, rest = divmod(config.mlp_hidden, config.hidden)
        assert not rest, "a DINOv2 block's MLP is a whole multiple of its width"
        dino = _dino_config(
            hidden_size=config.hidden,
            num_hidden_layers=depth,
            num_attention_heads=config.heads,
            mlp_ratio=ratio,
            hidden_act="gelu",
            layer_norm_eps=_LAYER_NORM_EPS,
            layerscale_value=config.layer_scale,
            image_size=image_px,
            patch_size=config.patch_px,
            num_register_tokens=config.registers,
            attn_implementation="sdpa",
        )
        return [Dinov2WithRegistersLayer(dino) for _ in range(depth)]
    siglip = _siglip_config(
        hidden_size=config.hidden,
        intermediate_size=config.mlp_hidden,
        num_hidden_layers=depth,
        num_attention_heads=config.heads,
        image_size=image_px,
        patch_size=config.patch_px,
        # timm 0.9 builds SigLIP with the exact GELU; transformers' own default is the tanh form.
        hidden_act="gelu",
        layer_norm_eps=_LAYER_NORM_EPS,
        attn_implementation="sdpa",
    )
    return [SiglipEncoderLayer(siglip) for _ in range(depth)]


class VisionBackbone(nn.Module):
    """All towers on one image; their features side by side."""

    def __init__(self, towers: Sequence[TowerConfig], image_px: int) -> None:
        super().__init__()
        self.towers = nn.ModuleList(Tower(config, image_px) for config in towers)
        self.width = sum(config.hidden for config in towers)

    def forward(self, pixels_BVTCHW: Tensor) -> Tensor:
        """Features [B, V, P, D] of every view; `pixels` are normalised for each tower."""
        batch, views = pixels_BVTCHW.shape[:2]
        flat = pixels_BVTCHW.flatten(0, 1)
        features = [tower(flat[:, index]) for index, tower in enumerate(self.towers)]
        fused = torch.cat(features, dim=-1)
        return fused.reshape(batch, views, *fused.shape[1:])


class VisionProjector(nn.Module):
    """Three linear layers from the towers' width to the language model's."""

    def __init__(self, vision_width: int, language_width: int) -> None:
        super().__init__()
        inner = 4 * vision_width
        self.fc1 = nn.Linear(vision_width, inner)
        self.fc2 = nn.Linear(inner, language_width)
        self.fc3 = nn.Linear(language_width, language_width)

    def forward(self, features: Tensor) -> Tensor:
        """Visual tokens [..., language_width]."""
        hidden = nn.functional.gelu(self.fc1(features))
        tokens: Tensor = self.fc3(nn.functional.gelu(self.fc2(hidden)))
        return tokens
