"""Actions as tokens: 256 bins over [-1, 1], one token each, at the end of the vocabulary.

Source: `ActionTokenizer` in openvla/openvla at c8f03f4: numpy's `linspace`, `digitize` and bin
centres. There are 256 edges and so 255 bins; the value 1 shares the last bin.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ActionTokens:
    """The mapping between normalised action values and token ids.

    Attributes:
        token_vocab: ids below it are tokens; action value bin b has id `token_vocab - b`, b >= 1.
        bins: number of edges.
    """

    token_vocab: int
    bins: int = 256

    def encode(self, actions: Tensor) -> Tensor:
        """Token ids (int64) of values, which are clipped to [-1, 1]."""
        edges = self._edges(actions)
        bins = torch.bucketize(actions.double().clamp(-1, 1), edges, right=True)
        return self.token_vocab - bins

    def decode(self, ids: Tensor) -> Tensor:
        """Bin centres (float64) of token ids; ids of other tokens go to the nearest end."""
        edges = self._edges(ids)
        centres = (edges[:-1] + edges[1:]) / 2
        return centres[(self.token_vocab - ids - 1).clamp(0, len(centres) - 1)]

    def _edges(self, like: Tensor) -> Tensor:
        return torch.linspace(-1, 1, self.bins, dtype=torch.float64, device=like.device)
