"""The small networks around the language model: state in, actions out.

Legend: B batch, K steps of a chunk, A action numbers, N action positions (K * A, or K), S state
numbers, D language width.
"""

import torch
from torch import Tensor, nn

from .architecture import Architecture

_BLOCKS = 2


class StateProjector(nn.Module):
    """Turns a normalised state vector into one token."""

    def __init__(self, state_dim: int, language_width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(state_dim, language_width)
        self.fc2 = nn.Linear(language_width, language_width)

    def forward(self, state_BS: Tensor) -> Tensor:
        """Token [B, D]."""
        token: Tensor = self.fc2(nn.functional.gelu(self.fc1(state_BS)))
        return token


class ResidualBlock(nn.Module):
    """Norm, linear, ReLU, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Same shape as the input."""
        return hidden + torch.relu(self.linear(self.norm(hidden)))


class RegressionHead(nn.Module):
    """Maps the hidden states of one step's positions, side by side, to that step's action."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.chunk_steps = architecture.chunk_steps
        language_width = architecture.language.hidden
        width_in = language_width * architecture.action_tokens // architecture.chunk_steps
        self.norm_in = nn.LayerNorm(width_in)
        self.fc_in = nn.Linear(width_in, language_width)
        self.blocks = nn.ModuleList(ResidualBlock(language_width) for _ in range(_BLOCKS))
        self.norm_out = nn.LayerNorm(language_width)
        self.fc_out = nn.Linear(language_width, architecture.action_dim)

    def forward(self, hidden_BND: Tensor) -> Tensor:
        """Normalised actions [B, K, A]."""
        steps = hidden_BND.reshape(hidden_BND.shape[0], self.chunk_steps, -1)
        hidden = torch.relu(self.fc_in(self.norm_in(steps)))
        for block in self.blocks:
            hidden = block(hidden)
        actions: Tensor = self.fc_out(self.norm_out(hidden))
        return actions
