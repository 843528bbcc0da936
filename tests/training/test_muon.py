"""Muon against torch's own, which works in bfloat16, and against a singular value decomposition."""

import torch
from torch import nn

from sfbench.training.muon import Muon, orthogonal

SHAPES = [(8, 8), (24, 8), (8, 24), (8, 8), (24, 8)]


def matrices(seed: int) -> list[nn.Parameter]:
    source = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=source)) for shape in SHAPES]


def test_the_same_steps_as_torch() -> None:
    mine, theirs, start = matrices(0), matrices(0), matrices(0)
    ours = Muon(mine, lr=1e-2, weight_decay=0.1)
    peer = torch.optim.Muon(theirs, lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(1, 9):
        for one, two, drawn in zip(mine, theirs, matrices(step), strict=True):
            one.grad, two.grad = drawn.detach(), drawn.detach().clone()
        ours.step()
        peer.step()
    for one, two, before in zip(mine, theirs, start, strict=True):
        moved = (one - before).norm()
        assert moved > 0.05
        assert (one - two).norm() < 0.03 * moved, "bfloat16 has three digits"


def test_what_has_no_gradient_stays() -> None:
    moved, still = matrices(0)[:2]
    moved.grad = torch.ones_like(moved)
    before = still.detach().clone()
    Muon([moved, still], lr=1e-2, weight_decay=0.1).step()
    assert torch.equal(still, before)


def test_singular_values_come_near_1_and_directions_stay() -> None:
    drawn = torch.randn((3, 12, 20), generator=torch.Generator().manual_seed(5))
    left, _, right = torch.linalg.svd(drawn, full_matrices=False)
    for given in (drawn, drawn.mT):
        found = orthogonal(given)
        values = torch.linalg.svdvals(found)
        assert values.min() > 0.6
        assert values.max() < 1.3
    core = left.mT @ orthogonal(drawn) @ right.mT
    off = core - torch.diag_embed(torch.diagonal(core, dim1=1, dim2=2))
    assert off.abs().max() < 1e-4
    assert torch.equal(orthogonal(torch.zeros(1, 4, 6)), torch.zeros(1, 4, 6))
