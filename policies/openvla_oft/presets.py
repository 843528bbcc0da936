"""The named architectures: the published 7B ones, and small ones of the same wiring."""

from dataclasses import replace

from .architecture import (
    ActionHead,
    ActionPositions,
    Architecture,
    Attention,
    Decoding,
    LanguageConfig,
    TowerConfig,
    TowerKind,
)

# ImageNet statistics rounded to bfloat16: the published preprocessor_config.json holds these, and
# its values override the exact ones, so that training saw them too.
_DINO_MEAN = (0.484375, 0.455078125, 0.40625)
_DINO_STD = (0.228515625, 0.2236328125, 0.224609375)

DINOV2_LARGE = TowerConfig(
    kind=TowerKind.DINOV2,
    patch_px=14,
    hidden=1024,
    layers=24,
    heads=16,
    mlp_hidden=4096,
    registers=4,
    layer_scale=1e-5,
    mean=_DINO_MEAN,
    std=_DINO_STD,
)
SIGLIP_SO400M = TowerConfig(
    kind=TowerKind.SIGLIP, patch_px=14, hidden=1152, layers=27, heads=16, mlp_hidden=4304
)
LLAMA2_7B = LanguageConfig(
    token_vocab=32000, vocab_rows=32064, hidden=4096, layers=32, heads=32, mlp_hidden=11008
)

OPENVLA_OFT_7B = Architecture(
    image_px=224,
    towers=(DINOV2_LARGE, SIGLIP_SO400M),
    language=LLAMA2_7B,
    views=2,
    proprio_dim=8,
    action_dim=7,
    chunk_steps=8,
    attention=Attention.BIDIRECTIONAL,
    decoding=Decoding.PARALLEL,
    action_head=ActionHead.L1,
)
OPENVLA_7B = replace(
    OPENVLA_OFT_7B,
    views=1,
    proprio_dim=0,
    chunk_steps=1,
    attention=Attention.CAUSAL,
    decoding=Decoding.AUTOREGRESSIVE,
    action_head=ActionHead.TOKENS,
)


_SMALL_CHUNK_STEPS = 16
"""As pi0_mini: fewer decisions an episode, fewer occasions to err (docs/training.md)."""


def _small(tower_hidden: int, language: LanguageConfig, image_px: int) -> Architecture:
    dino = TowerConfig(
        kind=TowerKind.DINOV2,
        patch_px=16,
        hidden=tower_hidden,
        layers=4,
        heads=tower_hidden // 32,
        mlp_hidden=4 * tower_hidden,
        registers=4,
        mean=_DINO_MEAN,
        std=_DINO_STD,
    )
    siglip = replace(
        dino, kind=TowerKind.SIGLIP, registers=0, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )
    return replace(
        OPENVLA_OFT_7B,
        image_px=image_px,
        towers=(dino, siglip),
        language=language,
        chunk_steps=_SMALL_CHUNK_STEPS,
        action_positions=ActionPositions.PER_STEP,
    )


OPENVLA_OFT_MINI = _small(
    128,
    LanguageConfig(
        token_vocab=1280, vocab_rows=1344, hidden=192, layers=8, heads=6, mlp_hidden=512
    ),
    image_px=128,
)
"""A few million parameters: trained from scratch on a CPU."""

OPENVLA_OFT_MICRO = _small(
    32,
    LanguageConfig(token_vocab=768, vocab_rows=832, hidden=64, layers=4, heads=2, mlp_hidden=128),
    image_px=64,
)
"""A few hundred thousand parameters: for tests and `make train-demo`."""
