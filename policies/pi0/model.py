"""π0: images, instruction, state and noise in, a chunk of actions out, by flow matching.

The network is transformers' PI0; this file runs it in two halves, so that the layers' hidden states
of the images can be reached, views can be missing, and noise comes from the caller.

Legend: B batch, V views, C colours, H and W pixels, P patches of a view, T prompt tokens (padded),
L = V * P + T positions, D width, K steps of a chunk, A action numbers of the robot, N padded ones,
S padded state numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.cache_utils import Cache

from .architecture import Architecture
from .network import build, rebuild_buffers

# Flow times are Beta(1.5, 1) distributed, kept away from 0. Source: `sample_time`, openpi.
TIME_ALPHA, TIME_SCALE, TIME_OFFSET = 1.5, 0.999, 0.001


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """A batch of pre-processed observations.

    Attributes:
        pixels_BVCHW: float in [-1, 1]; anything where a view is missing.
        present_BV: bool, False where a sample lacks the view.
        ids_BT: int64 token ids, filled up on the right.
        written_BT: bool, False at filled-up positions.
        state_BS: float, normalised and filled up with 0.
    """

    pixels_BVCHW: Tensor
    present_BV: Tensor
    ids_BT: Tensor
    written_BT: Tensor
    state_BS: Tensor

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """On a device, and floating point numbers in that dtype."""
        return replace(
            self,
            pixels_BVCHW=self.pixels_BVCHW.to(device, dtype),
            present_BV=self.present_BV.to(device),
            ids_BT=self.ids_BT.to(device),
            written_BT=self.written_BT.to(device),
            state_BS=self.state_BS.to(device, dtype),
        )

    def with_room(self, tokens: int) -> Self:
        """With prompts filled up to at least that many tokens; the same numbers come out."""
        room = (0, max(tokens - self.ids_BT.shape[1], 0))
        return replace(
            self,
            ids_BT=functional.pad(self.ids_BT, room),
            written_BT=functional.pad(self.written_BT, room),
        )

    def select(self, rows: Sequence[int]) -> Self:
        """Some of the samples."""
        index = list(rows)
        return type(self)(
            self.pixels_BVCHW[index],
            self.present_BV[index],
            self.ids_BT[index],
            self.written_BT[index],
            self.state_BS[index],
        )


@dataclass(frozen=True, slots=True)
class Prefix:
    """What images and prompt have become; actions attend to it, it does not see them.

    Attributes:
        kept_BL: int64, 1 where a position holds something, 0 at missing views and padding.
        cache: keys and values of every layer.
        last_BLD: normed hidden states.
        all_BLD: if asked for, one entry a layer, embeddings first; the last one is normed. As in
            transformers, entry i is the output of layer i (counted from 1).
        patches: visual tokens of a view.
        present_BV: which sample has which view.
    """

    kept_BL: Tensor
    cache: Cache
    last_BLD: Tensor
    all_BLD: tuple[Tensor, ...]
    patches: int
    present_BV: Tensor

    def view_tokens(self, layer: int) -> list[Tensor]:
        """Hidden states [B, P, D] of each view's tokens at a layer (0 is the embeddings).

        Those of a missing view mean nothing: see `present_BV`.
        """
        states, size = self.all_BLD[layer], self.patches
        return [
            states[:, view * size : (view + 1) * size] for view in range(self.present_BV.shape[1])
        ]


@dataclass(frozen=True, slots=True)
class Flow:
    """What is random in a training step: noise [B, K, N], and flow times [B] in (0, 1]."""

    noise_BKN: Tensor
    time_B: Tensor


@dataclass(frozen=True, slots=True)
class TrainingOutput:
    """A training pass: the prefix, and the velocities of the robot's own action numbers.

    Attributes:
        prefix: with all layers' hidden states if asked for.
        predicted_BKA: by the network, float32.
        wanted_BKA: noise less actions.
    """

    prefix: Prefix
    predicted_BKA: Tensor
    wanted_BKA: Tensor


class Pi0(nn.Module):
    """The whole network of one architecture."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.core = build(architecture)
        self.prompt_room = 0
        """Prompts are filled up to at least this many tokens: one shape for compiled code."""

    @property
    def language_layers(self) -> nn.ModuleList:
        """The language model's layers: hook `language_layers[i - 1]` to tap hidden state i."""
        layers: nn.ModuleList = self.core.model.vlm.language_model.layers
        return layers

    @property
    def language_width(self) -> int:
        """D."""
        return self.architecture.language.hidden

    def place(self, device: str, dtype: torch.dtype) -> None:
        """Move the weights; what is computed and not learned stays exact in any dtype."""
        self.to(device=device, dtype=dtype)
        rebuild_buffers(self.core, device)

    def prefix(self, inputs: ModelInputs, keep_all: bool = False) -> Prefix:
        """Run vision tower and language model; with `keep_all`, every layer's states are kept."""
        vlm, patches = self.core.model.vlm, self.architecture.patches_per_view
        inputs = inputs.with_room(self.prompt_room)
        batch, views = inputs.present_BV.shape
        features = vlm.get_image_features(inputs.pixels_BVCHW.flatten(0, 1)).pooler_output
        words = vlm.get_input_embeddings()(inputs.ids_BT)
        images = features.reshape(batch, views * patches, -1).to(words.dtype)
        seen = inputs.present_BV.repeat_interleave(patches, dim=1)
        kept_BL = torch.cat([seen, inputs.written_BT], dim=1).long()
        output = vlm(
            inputs_embeds=torch.cat([images, words], dim=1),
            attention_mask=kept_BL,
            position_ids=kept_BL.cumsum(dim=1) - 1,
            # One block: every position sees every other.
            token_type_ids=torch.zeros_like(kept_BL),
            use_cache=True,
            output_hidden_states=keep_all,
        )
        return Prefix(
            kept_BL,
            output.past_key_values,
            output.last_hidden_state,
            tuple(output.hidden_states or ()),
            patches,
            inputs.present_BV,
        )

    def velocity(
        self, prefix: Prefix, state_BS: Tensor, noisy_BKN: Tensor, time_B: Tensor
    ) -> Tensor:
        """Where noisy actions should move: float32 [B, K, N].

        Args:
            prefix: of these samples; its cache is left as it was.
            state_BS: normalised states.
            noisy_BKN: a mixture of noise (time 1) and actions (time 0).
            time_B: float32 flow times.
        """
        before = prefix.kept_BL.shape[1]
        output = self.core(
            state=state_BS,
            noise=noisy_BKN.to(state_BS.dtype),
            timestep=time_B,
            attention_mask=prefix.kept_BL,
            past_key_values=prefix.cache,
        )
        prefix.cache.crop(before - prefix.cache.get_seq_length())
        velocity: Tensor = output.logits.float()
        return velocity

    @torch.no_grad()
    def sample(self, inputs: ModelInputs, noise_BKN: Tensor) -> Tensor:
        """Normalised action chunks, float32 [B, K, N], by Euler steps from noise (float32)."""
        steps = self.architecture.denoise_steps
        prefix, actions = self.prefix(inputs), noise_BKN
        for step in range(steps):
            time_B = torch.full((len(actions),), 1.0 - step / steps, device=actions.device)
            actions = actions - self.velocity(prefix, inputs.state_BS, actions, time_B) / steps
        return actions

    def draw_flow(self, batch: int, generator: torch.Generator) -> Flow:
        """The random part of a training step (CPU tensors, from a CPU generator)."""
        size = (batch, self.architecture.chunk_steps, self.architecture.action_width)
        noise = torch.randn(size, generator=generator)
        # The inverse of the distribution function of Beta(a, 1) is u ** (1 / a).
        beta = torch.rand(batch, generator=generator) ** (1 / TIME_ALPHA)
        return Flow(noise, beta * TIME_SCALE + TIME_OFFSET)

    def losses(
        self,
        inputs: ModelInputs,
        actions_BKA: Tensor,
        flow: Flow,
        valid_BK: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Named training losses, each a scalar.

        Args:
            inputs: the batch.
            actions_BKA: normalised target actions.
            flow: see `draw_flow`.
            valid_BK: False where there is no target; such a step adds nothing to the sum, but
                counts in the mean, so that a batch's mean is the mean of its parts' means.

        Returns:
            `flow_mse`: mean squared error of the velocity over steps and the robot's own numbers.
        """
        return self.losses_of(self.run_for_training(inputs, actions_BKA, flow), valid_BK)

    def run_for_training(
        self, inputs: ModelInputs, actions_BKA: Tensor, flow: Flow, keep_all: bool = False
    ) -> TrainingOutput:
        """The pass whose output `losses_of` takes; with `keep_all` other losses can share it."""
        count = actions_BKA.shape[-1]
        noise, time = (part.to(actions_BKA.device) for part in (flow.noise_BKN, flow.time_B))
        padded = functional.pad(actions_BKA.float(), (0, noise.shape[-1] - count))
        part = time[:, None, None]
        noisy = part * noise + (1 - part) * padded
        prefix = self.prefix(inputs, keep_all)
        predicted = self.velocity(prefix, inputs.state_BS, noisy, time)
        wanted = noise - padded
        return TrainingOutput(prefix, predicted[..., :count], wanted[..., :count])

    def losses_of(
        self, output: TrainingOutput, valid_BK: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See `losses`."""
        errors = (output.predicted_BKA - output.wanted_BKA).square()
        if valid_BK is not None:
            errors = errors * valid_BK[..., None]
        return {"flow_mse": errors.mean()}

    def compile_parts(self, mode: str) -> None:
        """Compile the vision tower, the language model and the action expert for inference.

        Args:
            mode: of torch.compile, without CUDA graphs: these reuse the memory in which the cache
                of keys and values lies.
        """
        self.prompt_room = self.architecture.prompt_tokens
        model = self.core.model
        for part in (model.vlm.vision_tower, model.vlm.language_model, model.dit):
            part.compile(mode=mode)
