"""OpenVLA-OFT put together: images, state and instruction in, a chunk of actions out.

Legend: B batch, V views, T towers, C colours, H and W pixels, P patches of a view, S state numbers,
K steps of a chunk, A action numbers, N action positions, L positions, R positions after the state,
D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from .action_tokens import ActionTokens
from .architecture import ActionHead, Architecture, Decoding
from .heads import RegressionHead, StateProjector
from .language import LanguageModel
from .sequence import BOS_ID, STOP_ID, SequenceLayout, text_ids
from .vision import VisionBackbone, VisionProjector


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """A batch of pre-processed observations.

    Attributes:
        pixels_BVTCHW: float, normalised for each tower.
        prompts: token ids of each prompt, BOS first; lengths may differ.
        state_BS: float, normalised; None exactly if the architecture's `proprio_dim` is 0.
    """

    pixels_BVTCHW: Tensor
    prompts: tuple[tuple[int, ...], ...]
    state_BS: Tensor | None

    def select(self, rows: Sequence[int]) -> Self:
        """Some of the samples."""
        index = list(rows)
        state = None if self.state_BS is None else self.state_BS[index]
        prompts = tuple(self.prompts[row] for row in index)
        return type(self)(self.pixels_BVTCHW[index], prompts, state)


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """One pass over a batch.

    Attributes:
        layout: where visual tokens, state, prompt and actions stand.
        last_BLD: normed hidden states.
        all_BLD: every layer's hidden states, if asked for: see LanguageOutput.
    """

    layout: SequenceLayout
    last_BLD: Tensor
    all_BLD: tuple[Tensor, ...]

    def view_tokens(self, layer: int) -> list[Tensor]:
        """Hidden states [B, P, D] of each view's tokens at a layer (0 is the embeddings)."""
        return [self.all_BLD[layer][:, view] for view in self.layout.views]


class OpenVla(nn.Module):
    """The whole network of one architecture."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        language_width = architecture.language.hidden
        self.vision = VisionBackbone(architecture.towers, architecture.image_px)
        self.projector = VisionProjector(self.vision.width, language_width)
        self.language = LanguageModel(architecture.language, architecture.attention)
        self.state_projector = (
            StateProjector(architecture.proprio_dim, language_width)
            if architecture.proprio_dim
            else None
        )
        self.action_head = (
            RegressionHead(architecture) if architecture.action_head is ActionHead.L1 else None
        )
        self.tokens = ActionTokens(architecture.language.token_vocab, architecture.action_bins)

    def forward(
        self, inputs: ModelInputs, actions_BN: Tensor | None = None, keep_all: bool = False
    ) -> ModelOutput:
        """Run the network over whole sequences.

        Args:
            inputs: the batch.
            actions_BN: action token ids to read; None leaves action positions empty.
            keep_all: also return every layer's hidden states.
        """
        prompts = [prompt[1:] for prompt in inputs.prompts]
        layout = SequenceLayout.build(self.architecture, [len(prompt) for prompt in prompts])
        ids_BR, kept_BR = text_ids(layout, prompts, actions_BN)
        prefix = self._prefix(inputs)
        text = self.language.embed(ids_BR.to(prefix.device))
        text = text * kept_BR.to(prefix.device)[..., None]
        sequence = torch.cat([prefix, text.to(prefix.dtype)], dim=1)
        output = self.language(sequence, layout.present_BL(prefix.device), keep_all)
        return ModelOutput(layout, output.last_BLD, output.all_BLD)

    @torch.no_grad()
    def predict(self, inputs: ModelInputs) -> Tensor:
        """Normalised action chunks, float64 [B, K, A], as they leave the head."""
        architecture = self.architecture
        if architecture.decoding is Decoding.AUTOREGRESSIVE:
            values = self.tokens.decode(self._generate(inputs))
        else:
            output = self(inputs)
            hidden = output.layout.predicting(output.last_BLD, architecture.action_tokens)
            if self.action_head is not None:
                actions: Tensor = self.action_head(hidden).double()
                return actions
            values = self.tokens.decode(self.language.logits(hidden).argmax(dim=-1))
        return values.reshape(-1, architecture.chunk_steps, architecture.action_dim)

    def losses(
        self, inputs: ModelInputs, actions_BKA: Tensor, valid_BK: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Named training losses, each a scalar.

        Args:
            inputs: the batch.
            actions_BKA: normalised target actions.
            valid_BK: False where there is no target; such a step adds nothing to the sum, but
                counts in the mean, so that a batch's mean is the mean of its parts' means.

        Returns:
            `action_l1`: mean absolute error of the chunk, for a regression head; else
            `action_token_ce`: mean cross-entropy of the action tokens and the stop token.
        """
        return self.losses_of(self.run_for_training(inputs, actions_BKA), actions_BKA, valid_BK)

    def run_for_training(
        self, inputs: ModelInputs, actions_BKA: Tensor, keep_all: bool = False
    ) -> ModelOutput:
        """The pass whose output `losses_of` takes; with `keep_all` other losses can share it."""
        if self.architecture.decoding is Decoding.AUTOREGRESSIVE:
            ids = self.tokens.encode(actions_BKA.flatten(1)).cpu()
            output: ModelOutput = self(inputs, ids, keep_all)
        else:
            output = self(inputs, None, keep_all)
        return output

    def losses_of(
        self, output: ModelOutput, actions_BKA: Tensor, valid_BK: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See `losses`."""
        count = self.architecture.action_tokens
        if self.action_head is not None:
            predicted = self.action_head(output.layout.predicting(output.last_BLD, count))
            errors = (predicted - actions_BKA).abs()
            if valid_BK is not None:
                errors = errors * valid_BK[..., None]
            return {"action_l1": errors.mean()}
        hidden = output.layout.predicting(output.last_BLD, count + 1)
        ids = self.tokens.encode(actions_BKA.flatten(1))
        targets = torch.cat([ids, torch.full_like(ids[:, :1], STOP_ID)], dim=1)
        scores = self.language.logits(hidden).float()
        errors = nn.functional.cross_entropy(scores.transpose(1, 2), targets, reduction="none")
        if valid_BK is not None:
            tokens = valid_BK.repeat_interleave(self.architecture.action_dim, dim=1)
            errors = errors * torch.cat([tokens, tokens[:, -1:]], dim=1)
        return {"action_token_ce": errors.mean()}

    def _prefix(self, inputs: ModelInputs) -> Tensor:
        """BOS, visual tokens and state token: [B, prompt_start, D]."""
        visual = self.projector(self.vision(inputs.pixels_BVTCHW)).flatten(1, 2)
        bos = torch.full((visual.shape[0], 1), BOS_ID, device=visual.device)
        parts = [self.language.embed(bos), visual]
        if self.state_projector is not None:
            assert inputs.state_BS is not None, "this architecture reads a state"
            parts.append(self.state_projector(inputs.state_BS)[:, None])
        return torch.cat(parts, dim=1)

    def _generate(self, inputs: ModelInputs) -> Tensor:
        """Action token ids [B, N]; prompts of one length share a pass, so nothing is padded."""
        prefix, count = self._prefix(inputs), self.architecture.action_tokens
        ids = torch.empty(len(inputs.prompts), count, dtype=torch.int64, device=prefix.device)
        for length in sorted({len(prompt) for prompt in inputs.prompts}):
            rows = [row for row, prompt in enumerate(inputs.prompts) if len(prompt) == length]
            prompts = torch.tensor([inputs.prompts[row][1:] for row in rows], device=prefix.device)
            text = self.language.embed(prompts)
            ids[rows] = self.language.generate(torch.cat([prefix[rows], text], dim=1), count)
        return ids
