"""Muon (Jordan et al. 2024): momentum whose singular values are all set to about 1.

torch.optim.Muon does the same one matrix at a time in bfloat16. Small networks have many small
matrices, so that its calls cost more than its arithmetic; and bfloat16 turns the last bits of a
gradient, which differ with the number of processes, into the third digit of a step. Here matrices
of one shape are worked on together, in float32.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_ROUNDS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315
"""Of x -> a x + b x^3 + c x^5, which drives what is in (0, 1] to about [0.7, 1.2]."""
_RMS_OF_ADAMW = 0.2
_EPS = 1e-7
_SLOT = "momentum_buffer"


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made orthogonal, with decoupled weight decay.

    Steps are scaled to the root mean square that AdamW's have (arXiv 2502.16982, equation 4), so
    that one learning rate and one weight decay serve both.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
    ) -> None:
        """`matrices` are two-dimensional."""
        settings = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(matrices, settings)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        assert closure is None, "a step is one pass"
        for group in self.param_groups:
            shapes: dict[torch.Size, list[nn.Parameter]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes.setdefault(matrix.shape, []).append(matrix)
            for matrices in shapes.values():
                self._move(matrices, group)

    def _move(self, matrices: list[nn.Parameter], group: dict[str, Any]) -> None:
        """Matrices of one shape."""
        lr, momentum = group["lr"], group["momentum"]
        gradients = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
        buffers = [self._buffer(matrix) for matrix in matrices]
        for buffer, gradient in zip(buffers, gradients, strict=True):
            buffer.lerp_(gradient, 1 - momentum)
        directions = orthogonal(gradients.lerp_(torch.stack(buffers), momentum))
        scale = _RMS_OF_ADAMW * math.sqrt(max(matrices[0].shape))
        for matrix, direction in zip(matrices, directions, strict=True):
            matrix.mul_(1 - lr * group["weight_decay"]).add_(direction, alpha=-lr * scale)

    def _buffer(self, matrix: nn.Parameter) -> Tensor:
        state = self.state[matrix]
        if _SLOT not in state:
            state[_SLOT] = torch.zeros_like(matrix)
        buffer: Tensor = state[_SLOT]
        return buffer


def orthogonal(matrices_NRC: Tensor) -> Tensor:
    """Each matrix with singular values near 1, by Newton-Schulz iterations; zeros stay zeros."""
    rows, columns = matrices_NRC.shape[1:]
    wide = matrices_NRC.mT if rows > columns else matrices_NRC
    wide = wide / (wide.norm(dim=(1, 2), keepdim=True) + _EPS)
    for _ in range(_ROUNDS):
        gram = wide @ wide.mT
        quintic = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)
        wide = torch.baddbmm(wide, quintic, wide, beta=_A)
    return wide.mT if rows > columns else wide
