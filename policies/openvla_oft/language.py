"""The Llama in the middle, seeing the whole sequence or the past only.

Legend: B batch, L positions, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRotaryEmbedding

from .architecture import Attention, LanguageConfig


@dataclass(frozen=True, slots=True)
class LanguageOutput:
    """What a pass through the language model gives.

    Attributes:
        last_BLD: hidden states after the final norm.
        all_BLD: if asked for, one entry a layer, embeddings first; the last one is normed. As in
            transformers, entry i is the output of decoder layer i (counted from 1).
    """

    last_BLD: Tensor
    all_BLD: tuple[Tensor, ...] = ()


class LanguageModel(nn.Module):
    """A Llama for causal language modelling whose mask is a setting."""

    def __init__(self, config: LanguageConfig, attention: Attention) -> None:
        super().__init__()
        self.llama = LlamaForCausalLM(_llama_config(config, attention))
        if attention is Attention.BIDIRECTIONAL:
            # The config's flag makes the mask bidirectional, the modules' flag tells kernels that
            # build their own mask (there is none to pass when nothing is padded).
            for module in self.modules():
                if isinstance(module, LlamaAttention):
                    module.is_causal = False

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder layers: hook `layers[i - 1]` to tap hidden state i."""
        layers: nn.ModuleList = self.llama.model.layers
        return layers

    @property
    def width(self) -> int:
        """D."""
        return int(self.llama.config.hidden_size)

    def embed(self, ids_BL: Tensor) -> Tensor:
        """Token embeddings [B, L, D]."""
        embedded: Tensor = self.llama.model.embed_tokens(ids_BL)
        return embedded

    def forward(
        self, embeddings_BLD: Tensor, present_BL: Tensor | None, keep_all: bool = False
    ) -> LanguageOutput:
        """Run all layers.

        Args:
            embeddings_BLD: the sequence.
            present_BL: bool, False at padding (on the right); None where nothing is padded.
            keep_all: also return every layer's hidden states.
        """
        output = self.llama.model(
            inputs_embeds=embeddings_BLD,
            attention_mask=present_BL,
            use_cache=False,
            output_hidden_states=keep_all,
        )
        return LanguageOutput(output.last_hidden_state, tuple(output.hidden_states or ()))

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of every vocabulary row, [..., vocab_rows]."""
        scores: Tensor = self.llama.lm_head(hidden)
        return scores

    def rebuild_buffers(self, device: str) -> None:
        """Compute what is not in a checkpoint, after building on the `meta` device."""
        self.llama.model.rotary_emb = LlamaRotaryEmbedding(self.llama.config).to(device)

    @torch.no_grad()
    def generate(self, embeddings_BLD: Tensor, count: int) -> Tensor:
        """Greedily continue sequences of equal length.

        Args:
            embeddings_BLD: prompts, nothing padded.
            count: tokens to generate.

        Returns:
            int64 [B, count].
        """
        cache = DynamicCache(config=self.llama.config)
        step, ids = embeddings_BLD, []
        for _ in range(count):
            output = self.llama.model(inputs_embeds=step, past_key_values=cache, use_cache=True)
            ids.append(self.logits(output.last_hidden_state[:, -1:]).argmax(dim=-1))
            step = self.embed(ids[-1])
        return torch.cat(ids, dim=1)


def _llama_config(config: LanguageConfig, attention: Attention) -> LlamaConfig:
    make: Callable[..., LlamaConfig] = LlamaConfig
    return make(
        vocab_size=config.vocab_rows,
        hidden_size=config.hidden,
        intermediate_size=config.mlp_hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=config.max_positions,
        rms_norm_eps=config.rms_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        tie_word_embeddings=False,
        pad_token_id=None,
        is_causal=attention is Attention.CAUSAL,
        attn_implementation="sdpa",
    )
