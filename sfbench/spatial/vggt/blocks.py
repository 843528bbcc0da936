"""Transformer blocks, with normalised queries and keys and two-dimensional rotary positions.

Legend: B batch, N tokens, D width, H heads, E width of a head.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class LayerScale(nn.Module):
    """A learned factor for each channel."""

    def __init__(self, width: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), initial))

    def forward(self, hidden: Tensor) -> Tensor:
        """Same shape."""
        return hidden * self.gamma


class Mlp(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, width: int, inner: int, out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, out)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., out]."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(hidden)))
        return out


class Rotary2d:
    """Turns the first half of a head by a token's row, the second half by its column.

    Within a half, channel i pairs with channel i + E / 4 and turns by position / base^(4 i / E).

    Source: RoPE (arXiv 2104.09864) on two axes, `layers/rope.py` in facebookresearch/vggt.
    """

    def __init__(self, positions_N2: Tensor, head_width: int, base: float, like: Tensor) -> None:
        """`positions_N2`: integer row and column of each token; `like` gives device and dtype."""
        pairs = head_width // 4
        exponents = torch.arange(pairs, device=like.device).float() / pairs
        angles_N2F = positions_N2.to(like.device)[..., None] * base**-exponents
        angles = torch.cat([angles_N2F, angles_N2F], dim=-1).flatten(1).to(like.dtype)
        self._cos, self._sin = angles.cos(), angles.sin()

    def turn(self, heads_BHNE: Tensor) -> Tensor:
        """Queries or keys at the tokens' positions."""
        first, second, third, fourth = heads_BHNE.chunk(4, dim=-1)
        turned = torch.cat([-second, first, -fourth, third], dim=-1)
        return heads_BHNE * self._cos + turned * self._sin


class Attention(nn.Module):
    """Self-attention of all tokens of a sequence."""

    def __init__(self, width: int, heads: int, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.LayerNorm(width // heads) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(width // heads) if qk_norm else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, hidden_BND: Tensor, rotary: Rotary2d | None) -> Tensor:
        """[B, N, D]."""
        qkv = self.qkv(hidden_BND).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = qkv.unbind(0)
        queries, keys = self.q_norm(queries), self.k_norm(keys)
        if rotary is not None:
            queries, keys = rotary.turn(queries), rotary.turn(keys)
        # Under autocast norms and rotations come out in float32.
        queries, keys = queries.to(values.dtype), keys.to(values.dtype)
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Attention and MLP, each normed before and scaled after."""

    def __init__(
        self, width: int, heads: int, *, qk_norm: bool, layer_scale: float, norm_eps: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.attn = Attention(width, heads, qk_norm)
        self.ls1 = LayerScale(width, layer_scale)
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = Mlp(width, 4 * width, width)
        self.ls2 = LayerScale(width, layer_scale)

    def forward(self, hidden_BND: Tensor, rotary: Rotary2d | None = None) -> Tensor:
        """[B, N, D]."""
        hidden = hidden_BND + self.ls1(self.attn(self.norm1(hidden_BND), rotary))
        out: Tensor = hidden + self.ls2(self.mlp(self.norm2(hidden)))
        return out
