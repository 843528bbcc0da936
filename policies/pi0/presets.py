"""The named architectures: the published one, and small ones of the same wiring."""

from collections.abc import Mapping
from dataclasses import dataclass

from .architecture import Architecture, DecoderConfig, TowerConfig

GEMMA_2B = DecoderConfig(
    hidden=2048, layers=18, heads=8, kv_heads=1, head_dim=256, mlp_hidden=16384
)
GEMMA_300M = DecoderConfig(
    hidden=1024, layers=18, heads=8, kv_heads=1, head_dim=256, mlp_hidden=4096
)
PI0 = Architecture(
    image_px=224,
    tower=TowerConfig(patch_px=14, hidden=1152, layers=27, heads=16, mlp_hidden=4304),
    language=GEMMA_2B,
    expert=GEMMA_300M,
    vocab=257152,
    chunk_steps=50,
)


@dataclass(frozen=True, slots=True)
class PublishedSizes:
    """What a published config.json takes for granted, and the decoders that it names.

    Attributes:
        base: all that the file may leave out.
        variants: decoder by name.
    """

    base: Architecture
    variants: Mapping[str, DecoderConfig]


PUBLISHED = PublishedSizes(PI0, {"gemma_2b": GEMMA_2B, "gemma_300m": GEMMA_300M})

PI0_MINI = Architecture(
    image_px=128,
    tower=TowerConfig(patch_px=16, hidden=128, layers=4, heads=4, mlp_hidden=512),
    language=DecoderConfig(hidden=192, layers=8, heads=4, kv_heads=1, head_dim=48, mlp_hidden=640),
    expert=DecoderConfig(hidden=128, layers=8, heads=4, kv_heads=1, head_dim=48, mlp_hidden=384),
    vocab=1024,
    chunk_steps=16,
    prompt_tokens=32,
)
"""A few million parameters: trained from scratch on a CPU."""

PI0_MICRO = Architecture(
    image_px=64,
    tower=TowerConfig(patch_px=16, hidden=32, layers=3, heads=2, mlp_hidden=96),
    language=DecoderConfig(hidden=64, layers=4, heads=2, kv_heads=1, head_dim=24, mlp_hidden=128),
    expert=DecoderConfig(hidden=48, layers=4, heads=2, kv_heads=1, head_dim=24, mlp_hidden=96),
    vocab=768,
    chunk_steps=8,
    prompt_tokens=32,
)
"""A few hundred thousand parameters: for tests."""
