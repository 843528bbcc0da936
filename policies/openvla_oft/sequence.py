"""Where everything stands in the sequence that the language model reads.

    BOS | view 1 | view 2 | ... | state | prompt (without BOS) | N action positions | stop | padding

As in any language model, what stands at position i is predicted from the hidden state at i - 1; so
the hidden states of the N actions are those at the N positions that start one before the first.

Source: `predict_action` in moojink/openvla-oft at 213c5ff. Legend: B batch, N action positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .architecture import Architecture

BOS_ID = 1
STOP_ID = 2


@dataclass(frozen=True, slots=True)
class SequenceLayout:
    """Positions in the sequence of every sample in a batch.

    Attributes:
        length: positions of the longest sample.
        views: visual tokens of each view, row by row; the same in every sample.
        state: position of the state token; None if the policy reads no state.
        prompt_start: where the prompt (without BOS) starts.
        prompt_lengths: tokens of each sample's prompt (without BOS).
        action_tokens: N.
    """

    length: int
    views: tuple[slice, ...]
    state: int | None
    prompt_start: int
    prompt_lengths: tuple[int, ...]
    action_tokens: int

    @classmethod
    def build(cls, architecture: Architecture, prompt_lengths: Sequence[int]) -> "SequenceLayout":
        """Lay out a batch of prompts, given their lengths without BOS."""
        patches = architecture.patches_per_view
        views = tuple(
            slice(1 + view * patches, 1 + (view + 1) * patches)
            for view in range(architecture.views)
        )
        end = 1 + architecture.views * patches
        state = end if architecture.proprio_dim else None
        start = end + (state is not None)
        return cls(
            length=start + max(prompt_lengths) + architecture.action_tokens + 1,
            views=views,
            state=state,
            prompt_start=start,
            prompt_lengths=tuple(prompt_lengths),
            action_tokens=architecture.action_tokens,
        )

    @property
    def is_padded(self) -> bool:
        """Whether samples differ in length."""
        return len(set(self.prompt_lengths)) > 1

    def action_start_B(self, device: torch.device) -> Tensor:
        """Position of each sample's first action, int64 [B]."""
        lengths = torch.tensor(self.prompt_lengths, dtype=torch.int64, device=device)
        return lengths + self.prompt_start

    def present_BL(self, device: torch.device) -> Tensor | None:
        """Where there is no padding, bool [B, length]; None if nothing is padded."""
        if not self.is_padded:
            return None
        ends = self.action_start_B(device) + self.action_tokens + 1
        return torch.arange(self.length, device=device) < ends[:, None]

    def predicting(self, hidden_BLD: Tensor, count: int) -> Tensor:
        """Hidden states [B, count, D] that predict the first `count` tokens after the prompt.

        `count` is N for the actions, N + 1 with the stop token.
        """
        first = self.action_start_B(hidden_BLD.device) - 1
        index = first[:, None] + torch.arange(count, device=hidden_BLD.device)
        return hidden_BLD.gather(1, index[..., None].expand(-1, -1, hidden_BLD.shape[-1]))


def text_ids(
    layout: SequenceLayout, prompts: Sequence[Sequence[int]], actions_BN: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Token ids of everything after the state token.

    Args:
        layout: of these prompts.
        prompts: token ids without BOS.
        actions_BN: action token ids to read (causal training), or None for empty positions.

    Returns:
        ids int64 [B, R], and bool [B, R], True where the embedding is kept (not at empty actions).
        Padding holds the stop token; attention never reaches it.
    """
    rest = layout.length - layout.prompt_start
    ids = torch.full((len(prompts), rest), STOP_ID, dtype=torch.int64)
    kept = torch.ones((len(prompts), rest), dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        actions = slice(len(prompt), len(prompt) + layout.action_tokens)
        ids[row, : len(prompt)] = torch.tensor(prompt, dtype=torch.int64)
        if actions_BN is None:
            kept[row, actions] = False
        else:
            ids[row, actions] = actions_BN[row]
    return ids, kept
