"""The dense heads: from four layers of patch tokens to one prediction a pixel.

Legend: B batch, S frames, N = B * S, H and W pixels, T tokens of a frame, D their width.
Source: DPT (arXiv 2103.13413), as facebookresearch/vggt builds it.
"""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from sfbench.spatial.grids import position_embedding
from sfbench.spatial.vggt.config import DenseHeadConfig, VggtConfig

_POSITION_SCALE = 0.1
_LAST_CHANNELS = 32


class _Residual(nn.Module):
    """Two convolutions. What they are added to is the input after ReLU.

    The published network was trained like that: its first ReLU works in place.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, planes: Tensor) -> Tensor:
        """Same shape."""
        positive = planes.relu()
        out: Tensor = positive + self.conv2(self.conv1(positive).relu())
        return out


class _Fusion(nn.Module):
    """Adds a finer layer to what comes from coarser ones, and enlarges the sum."""

    def __init__(self, features: int, has_finer: bool) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(features, features, 1)
        if has_finer:
            self.resConfUnit1 = _Residual(features)
        self.resConfUnit2 = _Residual(features)

    def forward(self, coarse: Tensor, finer: Tensor | None, size: Sequence[int]) -> Tensor:
        """[N, features, *size]."""
        fused = coarse if finer is None else coarse + self.resConfUnit1(finer)
        out: Tensor = self.out_conv(_enlarge(self.resConfUnit2(fused), size))
        return out


class _Scratch(nn.Module):
    """All that is trained from scratch on top of the projections (the published name)."""

    def __init__(self, config: DenseHeadConfig, outputs: int) -> None:
        super().__init__()
        features = config.features
        for level, channels in enumerate(config.channels, start=1):
            reduced = nn.Conv2d(channels, features, 3, padding=1, bias=False)
            self.add_module(f"layer{level}_rn", reduced)
            self.add_module(f"refinenet{level}", _Fusion(features, has_finer=level < 4))
        self.output_conv1 = nn.Conv2d(features, features // 2, 3, padding=1)
        self.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, _LAST_CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_LAST_CHANNELS, outputs, 1),
        )

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Fuse levels, finest first: [N, features / 2, ...] at twice the finest size."""
        reduced = [
            self.get_submodule(f"layer{index}_rn")(level)
            for index, level in enumerate(levels, start=1)
        ]
        sizes = [level.shape[-2:] for level in reduced]
        twice = [2 * side for side in sizes[0]]
        fused = self.get_submodule("refinenet4")(reduced[3], None, sizes[2])
        fused = self.get_submodule("refinenet3")(fused, reduced[2], sizes[1])
        fused = self.get_submodule("refinenet2")(fused, reduced[1], sizes[0])
        fused = self.get_submodule("refinenet1")(fused, reduced[0], twice)
        out: Tensor = self.output_conv1(fused)
        return out


class DenseHead(nn.Module):
    """Values and a confidence for each pixel."""

    def __init__(
        self, config: VggtConfig, outputs: int, activation: Callable[[Tensor], Tensor]
    ) -> None:
        """`outputs`: values a pixel; `activation`: makes them from what the network gives."""
        super().__init__()
        dense, width = config.dense, config.feature_width
        first, second, _, fourth = dense.channels
        self.layers, self.patch_px = dense.layers, config.patch_px
        self.patch_start = config.patch_start
        self._activation = activation
        self.norm = nn.LayerNorm(width)
        self.projects = nn.ModuleList(nn.Conv2d(width, channels, 1) for channels in dense.channels)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(first, first, 4, stride=4),
                nn.ConvTranspose2d(second, second, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(fourth, fourth, 3, stride=2, padding=1),
            ]
        )
        self.scratch = _Scratch(dense, outputs + 1)

    def forward(
        self, layers: Mapping[int, Tensor], height: int, width: int
    ) -> tuple[Tensor, Tensor]:
        """Values [B, S, H, W, outputs] and confidences [B, S, H, W] (at least 1).

        Args:
            layers: outputs [B, S, T, D] of the aggregator; needs those in `self.layers`.
            height: H of the images.
            width: W of the images.
        """
        rows, columns = height // self.patch_px, width // self.patch_px
        tokens = [layers[layer][:, :, self.patch_start :] for layer in self.layers]
        batch = tokens[0].shape[0]
        levels = []
        for index, level in enumerate(tokens):
            grid = self.norm(level).flatten(0, 1).transpose(1, 2).unflatten(2, (rows, columns))
            planes = _with_positions(self.projects[index](grid))
            levels.append(self.resize_layers[index](planes))
        fused = self.scratch(levels)
        fused = _with_positions(_enlarge(fused, (height, width)))
        out = self.scratch.output_conv2(fused).permute(0, 2, 3, 1).unflatten(0, (batch, -1))
        return self._activation(out[..., :-1]), 1 + out[..., -1].exp()


def signed_expm1(values: Tensor) -> Tensor:
    """exp(|x|) - 1 with the sign of x: the point head's activation."""
    return values.sign() * values.abs().expm1()


def _enlarge(planes: Tensor, size: Sequence[int]) -> Tensor:
    return functional.interpolate(planes, size=tuple(size), mode="bilinear", align_corners=True)


def _with_positions(planes_NCHW: Tensor) -> Tensor:
    _, channels, rows, columns = planes_NCHW.shape
    embedding = position_embedding(rows, columns, channels).permute(2, 0, 1)
    return planes_NCHW + (_POSITION_SCALE * embedding).to(planes_NCHW)
