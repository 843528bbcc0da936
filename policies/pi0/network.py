"""transformers' own PI0 at given sizes."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import PI0Config, PI0ForConditionalGeneration
from transformers.models.gemma.modeling_gemma import (
    GemmaRotaryEmbedding,
    GemmaTextScaledWordEmbedding,
)
from transformers.models.pi0.modeling_pi0 import PI0TimestepEmbeddings
from transformers.models.siglip.modeling_siglip import SiglipVisionEmbeddings

from .architecture import Architecture, DecoderConfig


def build(architecture: Architecture) -> PI0ForConditionalGeneration:
    """The network, on torch's present default device, `meta` included.

    The action expert's token embedding, which PI0 never uses (0.26 billion parameters at the
    published size), is left out.
    """
    core = PI0ForConditionalGeneration(_config(architecture))
    core.model.dit.embed_tokens = None
    return core


def rebuild_buffers(core: PI0ForConditionalGeneration, device: str) -> None:
    """Compute what is in no checkpoint, after building on the `meta` device.

    Raises:
        AssertionError: a release of transformers has buffers that this function does not know.
    """
    for module in core.modules():
        if isinstance(module, GemmaRotaryEmbedding):
            for name, value in GemmaRotaryEmbedding(module.config).named_buffers():
                module.register_buffer(name, value.to(device), persistent=False)
        elif isinstance(module, GemmaTextScaledWordEmbedding):
            scale = torch.tensor(module.scalar_embed_scale, device=device)
            module.register_buffer("embed_scale", scale, persistent=False)
        elif isinstance(module, PI0TimestepEmbeddings):
            compute: Callable[..., torch.Tensor] = module.compute_freqs
            frequencies = compute(module.config).to(device)
            module.register_buffer("sinusoid_freq", frequencies, persistent=False)
        elif isinstance(module, SiglipVisionEmbeddings):
            positions = torch.arange(module.num_positions, device=device)[None]
            module.register_buffer("position_ids", positions, persistent=False)
    unset = [name for name, value in core.named_buffers() if value.is_meta]
    assert not unset, f"buffers that are not in a checkpoint: {unset}"


def _config(architecture: Architecture) -> PI0Config:
    tower = architecture.tower
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": tower.hidden,
        "intermediate_size": tower.mlp_hidden,
        "num_hidden_layers": tower.layers,
        "num_attention_heads": tower.heads,
        "patch_size": tower.patch_px,
        "image_size": architecture.image_px,
        "vision_use_head": False,
    }
    vlm = {
        "model_type": "paligemma",
        "text_config": _gemma(architecture.language, architecture.vocab),
        "vision_config": vision,
        "projection_dim": architecture.language.hidden,
        # Images are put in as embeddings, so that no token stands for them.
        "image_token_id": architecture.vocab,
    }
    make: Callable[..., PI0Config] = PI0Config
    return make(
        vlm_config=vlm,
        dit_config=_gemma(architecture.expert, architecture.vocab),
        chunk_size=architecture.chunk_steps,
        max_state_dim=architecture.state_width,
        max_action_dim=architecture.action_width,
        num_inference_steps=architecture.denoise_steps,
        min_period=architecture.min_period,
        max_period=architecture.max_period,
        attn_implementation="sdpa",
    )


def _gemma(decoder: DecoderConfig, vocab: int) -> Mapping[str, Any]:
    return {
        "model_type": "gemma",
        "hidden_size": decoder.hidden,
        "intermediate_size": decoder.mlp_hidden,
        "num_hidden_layers": decoder.layers,
        "num_attention_heads": decoder.heads,
        "num_key_value_heads": decoder.kv_heads,
        "head_dim": decoder.head_dim,
        "vocab_size": vocab,
    }
