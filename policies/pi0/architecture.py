"""What the network looks like: sizes, as data. No torch here.

Sources: π0 (arXiv 2410.24164), PaliGemma (arXiv 2407.07726); sizes and constants read from
Physical-Intelligence/openpi at 15a9616 and huggingface/lerobot at 7427f31.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from sfbench.errors import UnknownNameError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerConfig:
    """The SigLIP vision transformer. `patch_px` is the side of a square patch."""

    patch_px: int
    hidden: int
    layers: int
    heads: int
    mlp_hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig:
    """A Gemma: the language model, or the action expert."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp_hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A vision tower, a language model and an action expert that attends to its keys and values.

    Attributes:
        image_px: side of the square image that the tower reads.
        vocab: rows of the language model's embedding.
        chunk_steps: actions that one call gives.
        state_width: numbers that the network reads as state; shorter states are filled with 0.
        action_width: numbers of an action inside the network; what exceeds the robot's is cut off.
        prompt_tokens: longest prompt.
        denoise_steps: Euler steps from noise to actions.
        min_period: shortest period of the flow time's embedding.
        max_period: longest one.
    """

    image_px: int
    tower: TowerConfig
    language: DecoderConfig
    expert: DecoderConfig
    vocab: int
    chunk_steps: int
    state_width: int = 32
    action_width: int = 32
    prompt_tokens: int = 48
    denoise_steps: int = 10
    min_period: float = 4e-3
    max_period: float = 4.0

    def __post_init__(self) -> None:
        if self.image_px % self.tower.patch_px:
            raise UsageError(
                f"image_px: got {self.image_px}, allowed multiples of the tower's "
                f"patch_px={self.tower.patch_px}"
            )
        shared = ("layers", "heads", "kv_heads", "head_dim")
        for name in shared:
            mine, theirs = getattr(self.language, name), getattr(self.expert, name)
            if mine != theirs:
                raise UsageError(
                    f"{name}: language has {mine}, expert has {theirs}; the expert attends to the "
                    f"language model's keys and values, so {', '.join(shared)} must be equal"
                )
        for name in ("chunk_steps", "prompt_tokens", "denoise_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: got {getattr(self, name)}, allowed 1 or more")

    @property
    def patches_per_side(self) -> int:
        """Rows (and columns) of the patch grid of one view."""
        return self.image_px // self.tower.patch_px

    @property
    def patches_per_view(self) -> int:
        """Visual tokens that one image becomes."""
        return self.patches_per_side**2

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`. Raises UsageError for missing or unknown fields."""
        values = _checked(cls, data, "architecture")
        kinds = {"tower": TowerConfig, "language": DecoderConfig, "expert": DecoderConfig}
        for name, kind in kinds.items():
            values[name] = kind(**_checked(kind, values[name], f"architecture.{name}"))
        return cls(**values)


def _checked(kind: type[Any], data: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = [item.name for item in fields(kind)]
    for name in data:
        if name not in known:
            raise UnknownNameError(f"field of {where}", name, known)
    if missing := [name for name in known if name not in data]:
        raise UsageError(f"{where}: missing {', '.join(missing)}")
    return dict(data)
