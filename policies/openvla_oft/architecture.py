"""What the networks look like: sizes and wiring, as data. No torch here.

Sources: OpenVLA (arXiv 2406.09246), OpenVLA-OFT (arXiv 2502.19645); sizes and constants read from
moojink/openvla-oft at 213c5ff and timm 0.9.10.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from sfbench.errors import UnknownNameError, UsageError


class TowerKind(StrEnum):
    """Which published vision transformer a tower is."""

    DINOV2 = "dinov2"
    """Class and register tokens before the patches, LayerScale in each block."""
    SIGLIP = "siglip"
    """Patches only."""


class Attention(StrEnum):
    """Who sees whom in the language model."""

    BIDIRECTIONAL = "bidirectional"
    """Everyone sees everyone: OFT and Spatial Forcing checkpoints."""
    CAUSAL = "causal"
    """The past only: base OpenVLA."""


class Decoding(StrEnum):
    """How a chunk of actions comes out."""

    PARALLEL = "parallel"
    """One pass over empty action positions."""
    AUTOREGRESSIVE = "autoregressive"
    """One token after the other, greedily."""


class ActionHead(StrEnum):
    """What turns hidden states into actions."""

    L1 = "l1"
    """A regression network, trained with the L1 loss."""
    TOKENS = "tokens"
    """The language model's own output layer over 256 action tokens."""


class ActionPositions(StrEnum):
    """How many places of the sequence an action of a chunk takes."""

    PER_NUMBER = "per_number"
    """One for each of its numbers: as published."""
    PER_STEP = "per_step"
    """One (regression only). Two arms have 16 numbers a step, and 128 empty places would cost a
    small model more than the pictures do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerConfig:
    """A vision transformer.

    Attributes:
        patch_px: side of a square patch.
        layers: depth as published. Features leave the second-to-last block, so that the last one
            is neither built nor run.
        registers: register tokens (DINOv2 only).
        layer_scale: initial LayerScale (DINOv2 only; matters for training from scratch).
        mean: per-channel mean of images in [0, 1], subtracted first.
        std: per-channel divisor.
    """

    kind: TowerKind
    patch_px: int
    hidden: int
    layers: int
    heads: int
    mlp_hidden: int
    registers: int = 0
    layer_scale: float = 1.0
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageConfig:
    """A Llama.

    Attributes:
        token_vocab: tokens that mean something; the last `action_bins` of them are action tokens.
        vocab_rows: rows of the embedding: `token_vocab`, a padding token and fill-up.
    """

    token_vocab: int
    vocab_rows: int
    hidden: int
    layers: int
    heads: int
    mlp_hidden: int
    max_positions: int = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Two towers, a projector, a Llama and an action head, wired together.

    Attributes:
        image_px: side of the square image that the towers read.
        views: images per observation.
        proprio_dim: numbers in the state vector; 0 for a policy that reads none.
        chunk_steps: actions that come out of one pass.
        action_positions: places that an action takes in the sequence.
        action_bins: values that an action token can take, for each action number.
    """

    image_px: int
    towers: tuple[TowerConfig, ...]
    language: LanguageConfig
    views: int
    proprio_dim: int
    action_dim: int
    chunk_steps: int
    attention: Attention
    decoding: Decoding
    action_head: ActionHead
    action_positions: ActionPositions = ActionPositions.PER_NUMBER
    action_bins: int = 256

    def __post_init__(self) -> None:
        for tower in self.towers:
            if self.image_px % tower.patch_px:
                raise UsageError(
                    f"image_px: got {self.image_px}, allowed multiples of the {tower.kind} tower's "
                    f"patch_px={tower.patch_px}"
                )
        counts = {self.image_px // tower.patch_px for tower in self.towers}
        if len(counts) != 1:
            raise UsageError(f"towers: patch grids differ ({sorted(counts)}); use one patch_px")
        if self.decoding is Decoding.AUTOREGRESSIVE and (
            self.action_head is not ActionHead.TOKENS or self.attention is not Attention.CAUSAL
        ):
            raise UsageError(
                "decoding=autoregressive needs action_head=tokens and attention=causal; got "
                f"action_head={self.action_head}, attention={self.attention}"
            )
        per_step = self.action_positions is ActionPositions.PER_STEP
        if per_step and self.action_head is not ActionHead.L1:
            raise UsageError(
                "action_positions=per_step needs action_head=l1; got "
                f"action_head={self.action_head}"
            )
        if self.language.token_vocab > self.language.vocab_rows:
            raise UsageError(
                f"language: token_vocab={self.language.token_vocab} exceeds "
                f"vocab_rows={self.language.vocab_rows}"
            )

    @property
    def patches_per_side(self) -> int:
        """Rows (and columns) of the patch grid of one view."""
        return self.image_px // self.towers[0].patch_px

    @property
    def patches_per_view(self) -> int:
        """Visual tokens that one image becomes."""
        return self.patches_per_side**2

    @property
    def action_tokens(self) -> int:
        """Positions that one chunk takes in the sequence."""
        per_step = self.action_positions is ActionPositions.PER_STEP
        return self.chunk_steps * (1 if per_step else self.action_dim)

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`. Raises UsageError for missing or unknown fields."""
        values = _checked(cls, data, "architecture")
        values["towers"] = tuple(_tower_from_json(tower) for tower in values["towers"])
        values["language"] = LanguageConfig(
            **_checked(LanguageConfig, values["language"], "architecture.language")
        )
        values["attention"] = Attention(values["attention"])
        values["decoding"] = Decoding(values["decoding"])
        values["action_head"] = ActionHead(values["action_head"])
        values["action_positions"] = ActionPositions(values["action_positions"])
        return cls(**values)


def _tower_from_json(data: Mapping[str, Any]) -> TowerConfig:
    values = _checked(TowerConfig, data, "architecture.towers")
    values["kind"] = TowerKind(values["kind"])
    values["mean"], values["std"] = tuple(values["mean"]), tuple(values["std"])
    return TowerConfig(**values)


def _checked(kind: type[Any], data: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = [item.name for item in fields(kind)]
    for name in data:
        if name not in known:
            raise UnknownNameError(f"field of {where}", name, known)
    if missing := [name for name in known if name not in data]:
        raise UsageError(f"{where}: missing {', '.join(missing)}")
    return dict(data)
