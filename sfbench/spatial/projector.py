"""The small network that turns a policy's hidden states into a teacher's features."""

import torch
from torch import Tensor, nn


class Projector(nn.Module):
    """LayerNorm, linear, GELU, linear; the second linear is as wide as the teacher's features.

    Xavier-uniform weights and zero biases, drawn from a stream of its own, so that building one
    leaves torch's global stream where it was.

    Source: `AlignProjector`, OpenHelix-Team/Spatial-Forcing at 4e9f66c (`vlm_norm`, `fc1`, `fc2`).
    """

    def __init__(self, policy_width: int, teacher_width: int, norm: bool, seed: int) -> None:
        super().__init__()
        with torch.device("meta"):
            self.norm = nn.LayerNorm(policy_width) if norm else nn.Identity()
            self.fc1 = nn.Linear(policy_width, teacher_width)
            self.fc2 = nn.Linear(teacher_width, teacher_width)
        self.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        if isinstance(self.norm, nn.LayerNorm):
            nn.init.ones_(self.norm.weight)
            nn.init.zeros_(self.norm.bias)
        for linear in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(linear.weight, generator=generator)
            nn.init.zeros_(linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Features [..., teacher_width] from hidden states [..., policy_width]."""
        inner = nn.functional.gelu(self.fc1(self.norm(hidden)))
        features: Tensor = self.fc2(inner)
        return features
